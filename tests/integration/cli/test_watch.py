"""`herald watch` and `herald wait` against a real server."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner

from herald_core.model.events.event import Progress
from herald_server.cli.main import cli
from tests.support.herald.command_line import (
    Run,
    environment,
    objects,
    runner_at,
    start,
)
from tests.support.herald.memory_server import LiveServer, live_server
from tests.support.wait import wait_until


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    """A server; tests take ids and names of their own."""
    with live_server() as server:
        yield server


@pytest.fixture
def run(server: LiveServer) -> Run:
    """`run(*words)` runs `herald` against the server."""
    return runner_at(server.url)


# -- watch -------------------------------------------------------------------------


def test_watch_prints_json_lines_and_ends(server: LiveServer, run: Run) -> None:
    server.tell("received", "wj", name="watched")
    server.tell("succeeded", "wj", result="1")
    result = run("watch", "wj", "--json")
    assert result.exit_code == 0
    ((said,),) = [list(line.items()) for line in objects(result)]
    assert said[0] == "put"
    assert (said[1]["id"], said[1]["state"]) == ("wj", "SUCCESS")


def test_watch_prints_lines_for_people(server: LiveServer, run: Run) -> None:
    server.tell("received", "wl", name="watched")
    server.tell("started", "wl")
    server.tell("failed", "wl", exception="ValueError('\x1b[31mred')")
    line = run("watch", "wl").stdout
    assert re.match(r"\d\d:\d\d:\d\d\.\d\d\d  FAILURE   watched  wl  ", line)
    assert "ValueError('\ufffd[31mred')" in line
    assert "\x1b" not in line


def test_watch_follows_a_filter_until_ctrl_c(server: LiveServer) -> None:
    process = start(server, "watch", "--name", "live.*", "--state", "STARTED", "--json")
    with process:
        assert process.stdout is not None
        server.tell("received", "wf", name="live.one")
        server.tell("started", "wf")
        first = json.loads(process.stdout.readline())
        server.tell("succeeded", "wf", result="1")
        second = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (first["put"]["id"], second) == ("wf", {"del": "wf"})
    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in err


def test_watch_survives_a_reader_that_has_seen_enough(server: LiveServer) -> None:
    process = start(server, "watch", "--name", "pipe.*", "--json")
    with process:
        assert process.stdout is not None
        server.tell("received", "wp", name="pipe.one")
        process.stdout.readline()
        process.stdout.close()
        server.tell("started", "wp")
        assert process.stderr is not None
        err = process.stderr.read()
    assert process.returncode == 1
    assert "Traceback" not in err


def test_no_color_goes_before_a_terminal(server: LiveServer) -> None:
    server.tell("received", "wc", name="coloured")
    server.tell("succeeded", "wc")
    words = ["watch", "wc"]
    coloured = CliRunner(env=environment(server.url)).invoke(cli, words, color=True)
    plain = CliRunner(env=environment(server.url, NO_COLOR="1")).invoke(
        cli, words, color=True
    )
    assert "\x1b[32mSUCCESS" in coloured.stdout
    assert "\x1b" not in plain.stdout


# -- wait --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "fields", "state", "code"),
    [
        ("succeeded", {"result": "42"}, "SUCCESS", 0),
        ("failed", {"exception": "E()"}, "FAILURE", 1),
        ("revoked", {"flag": True}, "REVOKED", 2),
        ("rejected", {}, "REJECTED", 2),
        ("lost", {"source": "inferred"}, "LOST", 2),
    ],
)
def test_wait_exits_as_the_task_ends(
    server: LiveServer,
    run: Run,
    kind: str,
    fields: dict[str, Any],
    state: str,
    code: int,
) -> None:
    task_id = f"exit-{kind}"
    server.tell("received", task_id, name="n")

    def end() -> None:
        wait_until(server.watched, 30, "somebody watches")
        server.tell(kind, task_id, **fields)

    ending = threading.Thread(target=end)
    ending.start()
    result = run("wait", task_id, "--json")
    ending.join()
    assert (result.exit_code, objects(result)[0]["state"]) == (code, state)


def test_wait_draws_a_bar_on_a_terminal(server: LiveServer) -> None:
    server.tell("received", "bar", name="barred")
    server.tell("started", "bar")
    ours, theirs = os.openpty()
    words = [sys.executable, "-m", "herald_server", "wait", "bar"]
    env = environment(server.url, TERM="xterm")
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=theirs, env=env
    ) as process:
        os.close(theirs)
        server.tell("progress", "bar", progress=Progress(percent=50, message="half"))
        drawn = b""
        while "█░".encode() not in drawn:
            drawn += os.read(ours, 4096)
        server.tell("succeeded", "bar", result="1")
        out, _ = process.communicate(timeout=30)
    os.close(ours)
    assert b"50 % half" in drawn
    assert b"SUCCESS" in out
    assert (process.returncode, b"\x1b" in out) == (0, False)


def test_wait_gives_up_with_3(server: LiveServer, run: Run) -> None:
    server.tell("received", "slow", name="n")
    result = run("wait", "slow", "--timeout", "2")
    assert (result.exit_code, result.stdout) == (3, "")
    assert "after 2 s, slow is still RECEIVED" in result.stderr


def test_wait_for_an_unheard_task_says_so(run: Run) -> None:
    result = run("wait", "unheard", "--timeout", "0.2")
    assert result.exit_code == 3
    assert "nothing is known of unheard yet" in result.stderr


def test_for_ends_a_watch_after_a_time(server: LiveServer) -> None:
    server.tell("received", "timed", name="timed")
    done = runner_at(server.url)("watch", "--name", "timed", "--for", "0.5", "--json")
    assert done.exit_code == 0
    assert objects(done)[0]["put"]["id"] == "timed"
