"""The tutorials of the documentation, run as they are printed.

Those of live progress need a browser: `tests/browser/test_tutorials.py`.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastmcp import Client

from herald_core.system.subprocesses import kill_group, spawn
from tests.support.alerts.slack import SlackProxy
from tests.support.environment import DOCS, ROOT
from tests.support.herald.process import TOKEN
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until

pytestmark = [pytest.mark.anyio, pytest.mark.celery, pytest.mark.timeout(240)]

FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BEGIN_S = 60.0
"""Seconds in which a process begins, on a machine that does much else as well."""

PROJECT = """
import os

from celery import Celery

app = Celery("proj", broker=os.environ["BROKER"], backend=os.environ["BROKER"])


@app.task(name="reports.monthly")
def monthly(month: str = "2026-01") -> str:
    if month == "never":
        raise ValueError("there is no such month")
    return month
"""


class Reader:
    """A reader of a tutorial: has a project, and runs what the page prints."""

    def __init__(self, page: str, place: Path, broker: str) -> None:
        self.place = place
        self.snippets = FENCE.findall((DOCS / "tutorials" / page).read_text())
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/"
        commands = place / "bin"
        self.env = {
            **os.environ,
            "BROKER": broker,
            "HERALD_PORT": str(port),
            "HERALD_URL": self.url,
            "HERALD_TOKEN": TOKEN,
            "PATH": f"{commands}:{os.environ['PATH']}",
            "PYTHONPATH": f"{place}:{os.environ.get('PYTHONPATH', ROOT)}",
            "XDG_STATE_HOME": str(place / "state"),
        }
        (place / "proj.py").write_text(PROJECT)
        self._make_commands(commands)
        self._running: list[subprocess.Popen[bytes]] = []

    def _make_commands(self, folder: Path) -> None:
        """Make `herald` and `celery` those of this environment."""
        folder.mkdir()
        for name, module in {"herald": "herald_server", "celery": "celery"}.items():
            script = folder / name
            script.write_text(f'#!/bin/sh\nexec {sys.executable} -m {module} "$@"\n')
            script.chmod(0o755)

    def list_lines(self, language: str = "sh") -> list[str]:
        """Return the lines of all snippets in a language, without comments."""
        lines = [
            re.sub(r"\s+# .*", "", line)
            for kind, text in self.snippets
            for line in text.splitlines()
            if kind == language
        ]
        return [line.replace("YOUR_TOKEN", TOKEN) for line in lines if line]

    def get_line(self, begin: str) -> str:
        """Return the one line of a shell that begins so."""
        [line] = [line for line in self.list_lines() if line.startswith(begin)]
        return line

    def get_text(self, language: str) -> str:
        """Return all snippets in a language, as the reader fills them in."""
        text = "\n".join(text for kind, text in self.snippets if kind == language)
        text = text.replace("http://127.0.0.1:8787/", self.url)
        return text.replace("YOUR_TOKEN", TOKEN)

    def start(self, line: str) -> Path:
        """Run a line that goes on, such as a server; return the file of its output."""
        log = self.place / f"{len(self._running)}.log"
        words = ["sh", "-c", f"cd {self.place} && exec {line}"]
        self._running.append(spawn(words, log, env=self.env))
        return log

    def run(self, line: str) -> str:
        """Run a line, and return what it prints."""
        done = subprocess.run(
            ["sh", "-c", line],
            cwd=self.place,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=BEGIN_S,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout

    def start_herald(self) -> Path:
        """Run Herald as the page says, and wait until it is ready."""
        log = self.start(self.get_line("celery -A proj herald"))
        wait_until(lambda: "ready http" in log.read_text(), BEGIN_S, log.name)
        return log

    def start_worker(self, line: str = "celery -A proj worker") -> None:
        """Run a worker, and wait until Herald knows it."""
        self.start(f"{line} -P solo")
        wait_until(lambda: self.get("api/v1/workers")["workers"], BEGIN_S)

    def send(self, month: str) -> str:
        """Send a task of the project, and return its id."""
        code = f"from proj import monthly; print(monthly.delay({month!r}).id)"
        return self.run(f'{sys.executable} -c "{code}"').strip()

    def get(self, path: str) -> Any:
        """Return what a GET answers."""
        bearer = {"Authorization": f"Bearer {self.env['HERALD_TOKEN']}"}
        answer = httpx2.get(self.url + path, headers=bearer, trust_env=False)
        return answer.raise_for_status().json()

    def stop(self) -> None:
        """End what runs, the last first."""
        for process in reversed(self._running):
            kill_group(process)


@pytest.fixture
def read(tmp_path: Path, valkey: PrivateValkey) -> Iterator[Any]:
    readers: list[Reader] = []

    def begin(page: str) -> Reader:
        readers.append(Reader(page, tmp_path, valkey.url))
        return readers[-1]

    yield begin
    for one in readers:
        one.stop()


def test_watch_your_first_task(read: Any) -> None:
    reader: Reader = read("first-task.md")
    del reader.env["HERALD_TOKEN"]
    said = reader.start_herald().read_text()
    [token] = re.findall(rf"{reader.url}#token=(\S+)", said)
    reader.env["HERALD_TOKEN"] = token
    reader.start_worker(reader.get_line("celery -A proj worker"))
    watched = reader.start(reader.get_line("herald watch"))
    id_ = reader.send("2026-02")

    def list_words() -> list[str]:
        lines = [line for line in watched.read_text().splitlines() if id_ in line]
        words = ("RECEIVED", "STARTED", "SUCCESS")
        return [word for line in lines for word in words if word in line]

    shown = wait_until(list_words, BEGIN_S, accept=lambda words: "SUCCESS" in words)
    assert shown[-1] == "SUCCESS"
    for word in ("status", "wait", "why"):
        line = reader.get_line(f"herald {word}").replace("TASK_ID", id_)
        assert id_ in reader.run(line) or word == "why"
    followed = reader.place / "follow.py"
    followed.write_text(reader.get_text("python").replace(TOKEN, token))
    log = reader.start(f"{sys.executable} -u {followed}")
    reader.send("never")
    wait_until(lambda: "FAILURE" in log.read_text(), BEGIN_S, str(log))


async def test_connect_an_agent(read: Any) -> None:
    reader: Reader = read("agent.md")
    reader.env["HERALD_CATALOG"] = "herald.toml"
    reader.run(reader.get_line("herald catalog"))
    reader.start("celery -A proj herald")
    wait_until(lambda: is_ready(reader), BEGIN_S)
    reader.start_worker()
    minted = reader.run(reader.get_line("herald token")).split()[-1]
    settings = json.loads(reader.get_text("json").replace(TOKEN, minted))
    async with Client(settings) as agent:

        async def call(tool: str, **given: Any) -> dict[str, Any]:
            answer = await agent.call_tool(tool, given)
            found: dict[str, Any] | None = answer.structured_content
            assert found is not None
            return found

        wish: dict[str, Any] = {"task_type": "monthly", "params": {"month": "never"}}
        id_: str = (await call("start_background_task", **wish))["task_id"]
        ended = await call("wait_for_task", task_id=id_)
        assert ended["status"] == "failure"
        assert "ValueError" in str(await call("list_failures"))
        story = await call("get_task_history", task_id=id_)
        assert "no such month" in str(story)
    audit = reader.get("api/v1/audit")["orders"]
    assert any("my-agent" in one["who"] and one["what"] == "start" for one in audit)


def is_ready(reader: Reader) -> bool:
    try:
        return bool(reader.get("healthz"))
    except httpx2.HTTPError:
        return False


def test_alerts_to_slack(read: Any, tmp_path: Path) -> None:
    reader: Reader = read("slack.md")
    (reader.place / "herald.toml").write_text(reader.get_text("toml"))
    [exports] = [one for one in reader.list_lines() if one.startswith("export ")]
    with SlackProxy(tmp_path) as slack:
        reader.env |= slack.env
        for name, value in re.findall(r"(\w+)=('[^']*'|\S+)", exports):
            reader.env[name] = value.strip("'")
        reader.start_herald()
        reader.start_worker()
        assert "ops" in reader.run(reader.get_line("herald alert test"))
        [(path, body)] = slack.messages
        assert path == "/services/A/B/C"
        assert body["channel"] == "#celery"
        for _ in range(3):
            reader.send("never")
        wait_until(
            lambda: "reports.monthly" in str(slack.messages[1:]),
            BEGIN_S,
            "the rule of the page fires",
        )
