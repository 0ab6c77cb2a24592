"""Herald as its users run it: a process, driven by its command line."""

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

from herald_core.system.subprocesses import spawn, terminate
from tests.support.environment import ROOT
from tests.support.wait import wait_until

TOKEN = "a-token-for-tests"


class HeraldProcess:
    """A `herald` command that serves, such as `up` or `demo`."""

    def __init__(self, log: Path, *words: str, port: int = 0, **env: str) -> None:
        self.log = log
        self.url = ""
        self._words = [sys.executable, "-m", "herald_server", *words]
        self._words += ["--port", str(port)]
        self._env = {
            **os.environ,
            "HERALD_TOKEN": TOKEN,
            "XDG_STATE_HOME": str(log.parent / "state"),
            "PYTHONPATH": str(ROOT),
            **env,
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it and wait for its `ready` line."""
        self.log.unlink(missing_ok=True)
        self._process = spawn(self._words, self.log, env=self._env)
        wait_until(self._ready, 60, f"`herald` is ready; see {self.log}")

    def _ready(self) -> bool:
        said = self.log.read_text() if self.log.exists() else ""
        lines = [line for line in said.splitlines() if line.startswith("ready http")]
        if lines:
            self.url = lines[0].removeprefix("ready ")
        assert self._process is not None
        assert self._process.poll() is None or lines, said[-3000:]
        return bool(lines)

    def wait(self, timeout: float) -> int:
        """Wait for its end and return the exit code."""
        assert self._process is not None
        return self._process.wait(timeout)

    def stop(self, patience: float = 20.0) -> bool:
        """Send SIGTERM; say whether it went by itself."""
        assert self._process is not None
        return terminate(self._process, patience)

    def get(self, path: str) -> Any:
        """Return what a GET below its URL answers."""
        return get(self.url + path)

    def post(self, path: str, body: object) -> Any:
        """Return what a POST below its URL answers."""
        return post(self.url + path, body)

    def tasks(self, **query: str) -> dict[str, dict[str, Any]]:
        """Return all tasks it knows, by id, through every page."""
        found: dict[str, dict[str, Any]] = {}
        page = ""
        while True:
            words = "&".join(f"{k}={v}" for k, v in query.items())
            answer = self.get(f"api/v1/tasks?limit=500&{words}{page}")
            found.update({task["id"]: task for task in answer["tasks"]})
            if "next" not in answer:
                return found
            page = f"&page={answer['next']}"


def get(url: str, token: str = TOKEN) -> Any:
    """Return the JSON at `url`, asked for with the tests' token, or another."""
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def post(url: str, body: object) -> Any:
    """Return the JSON that a POST of `body` to `url` answers."""
    headers = {
        "Authorization": f"Bearer {TOKEN}",
        "Content-Type": "application/json",
    }
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)
