"""The client half of the command line, against a real server."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from herald_monitor.model.events import Progress
from herald_server.cli import COMMANDS, cli
from tests.conftest import AppFactory
from tests.live_server import TOKEN, LiveServer, live_server, worker_of
from tests.project import environment as project
from tests.servers import PrivateValkey, wait_until

CLIENT_COMMANDS = [*COMMANDS["Look"], *COMMANDS["Act"]]

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    """A server; tests take ids and names of their own."""
    with live_server() as server:
        yield server


def environment(url: str, **more: str) -> dict[str, str]:
    """Variables under which `herald` finds a server."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("HERALD_")}
    return {**kept, "HERALD_URL": url, "HERALD_TOKEN": TOKEN, **more}


def runner_at(url: str) -> Run:
    """Return `run(*words, **environment)`, which runs `herald` in this process."""

    def run(*words: str, **more: str) -> Result:
        runner = CliRunner(env=environment(url, **more))
        result = runner.invoke(cli, words)
        assert "Traceback" not in result.output, result.output
        return result

    return run


@pytest.fixture
def run(server: LiveServer) -> Run:
    """`run(*words)` runs `herald` against the server."""
    return runner_at(server.url)


def start(server: LiveServer, *words: str) -> "subprocess.Popen[str]":
    """Run `herald` as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "herald_server", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(server.url),
    )


def objects(result: Result) -> list[dict[str, Any]]:
    """The JSON lines that were printed."""
    return [json.loads(line) for line in result.stdout.splitlines()]


# -- the group -------------------------------------------------------------------


def test_help_comes_quickly_and_names_every_command() -> None:
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "herald_server", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    took = time.monotonic() - began
    print(f"herald --help took {took:.3f} s")
    assert took < 5
    named = re.findall(r"^  (\w+)  ", done.stdout, re.MULTILINE)
    assert named == [name for part in COMMANDS.values() for name in part]


def test_help_imports_nothing_heavy() -> None:
    look = (
        "import sys; from herald_server.cli import cli\n"
        "cli(['--help'], standalone_mode=False)\n"
        "heavy = {'celery', 'fastmcp', 'pydantic', 'redis', 'starlette', 'websockets'}"
        "\nsys.exit(repr(heavy & sys.modules.keys()) if heavy & sys.modules.keys() "
        "else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", look], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_client_imports_nothing_of_celery() -> None:
    look = (
        "import sys, herald_server.client\n"
        "heavy = {'celery', 'kombu', 'fastmcp', 'pydantic', 'redis', 'starlette'}\n"
        "sys.exit(repr(heavy & sys.modules.keys()) if heavy & sys.modules.keys() "
        "else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", look], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", CLIENT_COMMANDS)
def test_every_command_shows_where_its_server_is_set(run: Run, name: str) -> None:
    shown = " ".join(run(name, "--help").stdout.split())
    assert "env var: HERALD_URL; default: http://127.0.0.1:8787/" in shown
    assert "env var: HERALD_TOKEN" in shown


@pytest.mark.parametrize("name", [n for part in COMMANDS.values() for n in part])
def test_every_command_is_where_the_table_says(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert isinstance(command, click.Command)
    assert command.name == name
    assert command.help


def test_version_is_told(run: Run) -> None:
    assert re.fullmatch(r"herald, version \d+\.\d+\.\d+.*\n", run("--version").stdout)


@pytest.mark.parametrize(
    "words",
    [
        ("wathc",),
        ("wait",),
        ("wait", "x", "--timeout", "0"),
        ("wait", "x", "--timeout", "soon"),
        ("watch", "--state", "DONE"),
        ("tasks", "--limit", "0"),
        ("start", "t", "novalue"),
        ("start", "t", "a=1", "a=2"),
        ("start", "t", "--timeout", "3"),
    ],
)
def test_wrong_usage_exits_with_2(run: Run, words: tuple[str, ...]) -> None:
    result = run(*words)
    assert result.exit_code == 2
    assert "Error:" in result.stderr
    assert not result.stdout


# -- what goes wrong ---------------------------------------------------------------


def sentence(result: Result) -> str:
    """The one line on stderr of a command that failed."""
    assert result.exit_code == 1
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    return line


COMMANDS_IN_USE = [
    ("watch",),
    ("wait", "x"),
    ("tasks",),
    ("workers",),
    ("status", "x"),
    ("start", "t"),
    ("cancel", "x"),
]


@pytest.mark.parametrize("words", COMMANDS_IN_USE)
def test_wrong_token_is_one_sentence(run: Run, words: tuple[str, ...]) -> None:
    said = sentence(run(*words, HERALD_TOKEN="wrong"))
    assert "does not know this token" in said
    assert "HERALD_TOKEN" in said


@pytest.mark.parametrize("words", COMMANDS_IN_USE)
def test_server_that_is_down_is_one_sentence(words: tuple[str, ...]) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{held.getsockname()[1]}/"
        said = sentence(runner_at(url)(*words))
    assert said.startswith(f"Error: no Herald answers at {url} (connection refused)")


def test_url_that_is_none_is_one_sentence(run: Run) -> None:
    assert "is no URL of a Herald" in sentence(run("tasks", "--url", "localhost:1"))


def test_debug_shows_where_it_went_wrong(server: LiveServer) -> None:
    env = environment(server.url, HERALD_TOKEN="wrong")
    result = CliRunner(env=env).invoke(cli, ["--debug", "tasks"])
    assert type(result.exception).__name__ == "Refused"


def test_sentence_of_the_server_is_passed_on(run: Run) -> None:
    said = sentence(run("tasks", "--after", "yesterday"))
    assert "after must be an RFC 3339 time" in said


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
        out, err = process.communicate(timeout=10)
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
        wait_until(server.watched, 10, "somebody watches")
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
        out, _ = process.communicate(timeout=10)
    os.close(ours)
    assert b"50 % half" in drawn
    assert b"SUCCESS" in out
    assert (process.returncode, b"\x1b" in out) == (0, False)


def test_wait_gives_up_with_3(server: LiveServer, run: Run) -> None:
    server.tell("received", "slow", name="n")
    result = run("wait", "slow", "--timeout", "0.2")
    assert (result.exit_code, result.stdout) == (3, "")
    assert "after 0.2 s, slow is still RECEIVED" in result.stderr


def test_wait_for_an_unheard_task_says_so(run: Run) -> None:
    result = run("wait", "unheard", "--timeout", "0.2")
    assert result.exit_code == 3
    assert "nothing is known of unheard yet" in result.stderr


# -- tables --------------------------------------------------------------------------


def test_tasks_are_a_table_or_json(server: LiveServer, run: Run) -> None:
    for n in range(3):
        server.tell("received", f"tab{n}", name="tabled")
    table = run("tasks", "--name", "tabled", "--limit", "2")
    lines = table.stdout.splitlines()
    assert lines[0].split() == ["CHANGED", "STATE", "NAME", "ID", "WORKER", "RUNTIME"]
    assert [line.split()[2:5] for line in lines[1:]] == [
        ["RECEIVED", "tabled", "tab2"],
        ["RECEIVED", "tabled", "tab1"],
    ]
    assert "there are more" in table.stderr
    found = objects(run("tasks", "--name", "tabled", "--json"))
    assert [task["id"] for task in found] == ["tab2", "tab1", "tab0"]


def test_no_task_is_said(run: Run) -> None:
    result = run("tasks", "--name", "nobody.*")
    assert result.exit_code == 0
    assert "no task matches" in result.stderr


def test_workers_are_listed(server: LiveServer, run: Run) -> None:
    server.hear_of(worker_of("celery@listed", active=2, processed=40))
    row = next(r for r in run("workers").stdout.splitlines() if "listed" in r)
    assert row.split()[:4] == ["celery@listed", "online", "2", "40"]
    assert any(w["id"] == "celery@listed" for w in objects(run("workers", "--json")))


def test_status_shows_all_and_the_attempts(server: LiveServer, run: Run) -> None:
    server.tell("received", "st", name="shown", kwargs="{'a': 1}", retries=0)
    server.tell("started", "st")
    server.tell("failed", "st", exception="E('x')", traceback="Tr:\n  line\nE: x")
    shown = run("status", "st").stdout
    assert shown.startswith("FAILURE  shown\n")
    assert "kwargs    {'a': 1}" in shown
    assert "exception E('x')" in shown
    assert "ATTEMPT" in shown
    assert shown.endswith("\nTr:\n  line\nE: x\n")
    assert objects(run("status", "st", "--json"))[0]["attempts"]


def test_status_of_an_unheard_task_exits_with_1(run: Run) -> None:
    assert "nothing was ever heard of the task nix" in sentence(run("status", "nix"))


# -- orders --------------------------------------------------------------------------


@pytest.fixture
def orders(project_app: AppFactory, valkey: PrivateValkey) -> Iterator[LiveServer]:
    """A server that may send to a broker; no worker listens there."""
    with live_server(project_app(valkey.url)) as server:
        yield server


def test_start_prints_the_id_and_cancel_what_came_of_it(orders: LiveServer) -> None:
    run = runner_at(orders.url)
    started = run("start", "metrics_cleanup", "retention_days=30")
    task_id = started.stdout.strip()
    assert started.exit_code == 0
    task = objects(run("status", task_id, "--json"))[0]
    assert task["state"] == "PENDING"
    assert "'retention_days': 30" in task["kwargs"]
    orders.tell("succeeded", task_id, result="1")
    late = run("cancel", task_id)
    assert late.exit_code == 1
    assert late.stdout.startswith("Too late")


def test_start_can_wait(orders: LiveServer) -> None:
    run = runner_at(orders.url)
    result = run("start", "metrics_snapshot", "--wait", "--timeout", "0.3")
    assert result.exit_code == 3
    assert "is still PENDING" in result.stderr


def test_start_says_which_parameter_is_wrong(orders: LiveServer) -> None:
    said = sentence(runner_at(orders.url)("start", "metrics_cleanup", "retention=1"))
    assert "retention" in said


# -- celery's own command line -------------------------------------------------------


def celery(*words: str, **env: str) -> "subprocess.CompletedProcess[str]":
    """Run `celery` with words."""
    return subprocess.run(
        [sys.executable, "-m", "celery", *words],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={**os.environ, **env},
    )


def test_celery_knows_the_command_without_loading_it() -> None:
    done = celery("--help")
    assert re.search(r"^  herald +Monitor and server of Herald", done.stdout, re.M)


def test_celery_command_has_the_options_of_up(project_app: AppFactory) -> None:
    env = project(project_app("memory://"))
    done = celery("-A", "tests.project", "herald", "--help", **env)
    assert done.returncode == 0, done.stderr
    assert "--store" in done.stdout
    assert "--port" in done.stdout
    assert "--broker" not in done.stdout
