"""Workers as processes of their own, for tests."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import pytest
from celery import Celery

from herald_core.system.subprocesses import kill_group, spawn, terminate
from tests.support.celery.project import environment
from tests.support.environment import ROOT
from tests.support.wait import wait_until

OUTBOX_URL = "HERALD_OUTBOX_URL"


class Worker:
    """A real `celery worker` of `support/celery/project.py` as a process of its own."""

    def __init__(
        self,
        app: Celery,
        log: Path,
        *,
        pool: str = "prefork",
        concurrency: int = 2,
        hostname: str | None = None,
        events: bool = True,
        extra: tuple[str, ...] = (),
    ) -> None:
        self.app = app
        self.log = log
        self.hostname = hostname or f"w{uuid4().hex[:6]}@test"
        self._words = [
            *(
                sys.executable,
                "-m",
                "celery",
                "-A",
                "tests.support.celery.project",
                "worker",
            ),
            *("-P", pool, "-c", str(concurrency), "-n", self.hostname),
            *("-l", "INFO", *(("-E",) if events else ()), *extra),
            # At its start a worker waits a second for other workers to greet it.
            "--without-mingle",
        ]
        self._env: dict[str, str] = {}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id of the worker's main process."""
        assert self._process is not None
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it and wait until it answers a ping."""
        env = {**os.environ, **environment(self.app), "PYTHONPATH": str(ROOT)}
        env |= self._env
        self._process = spawn(self._words, self.log, env=env)
        wait_until(self._answers, 30, f"{self.hostname} answers; see {self.log}")

    def stop(self, patience: float = 10.0) -> None:
        """Ask it to end warmly, and kill it if it does not."""
        if self._process is not None:
            terminate(self._process, patience)
            # Children of a pool that outlived it.
            kill_group(self._process)

    def kill(self) -> None:
        """Kill it and its pool, without a goodbye."""
        assert self._process is not None
        kill_group(self._process)

    def close(self) -> None:
        """Kill it, if it was started; a warm shutdown takes seconds."""
        if self._process is not None:
            kill_group(self._process)

    def _answers(self) -> bool:
        if not self.alive:
            pytest.fail(f"the worker ended: {self.log.read_text()[-2000:]}")
        try:
            control = cast(Any, self.app).control
            return bool(control.ping(destination=[self.hostname], timeout=0.5))
        except Exception:  # the broker may be on its way up
            return False


class UnaskedWorker(Worker):
    """A worker at a broker without remote control, that writes to the outbox."""

    def __init__(self, app: Celery, log: Path, outbox: str, **options: Any) -> None:
        super().__init__(app, log, events=False, **options)
        self._env = {OUTBOX_URL: outbox}

    def _answers(self) -> bool:
        said = self.log.read_text()
        if not self.alive:
            pytest.fail(f"the worker ended: {said[-2000:]}")
        return f"{self.hostname} ready." in said


WorkerFactory = Callable[..., Worker]


AppFactory = Callable[..., Celery]
