"""A real `celery beat` of the tests' project, as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from celery import Celery

from herald_core.system.subprocesses import kill_group, spawn
from tests.support.celery.project import environment
from tests.support.environment import ROOT
from tests.support.wait import wait_until


@contextmanager
def running_beat(app: Celery, folder: Path, *more: str) -> Generator[None]:
    """Run beat while the block runs; its schedule is in `folder`."""
    log = folder / "beat.log"
    command = [
        *(sys.executable, "-m", "celery", "-A", "tests.support.celery.project"),
        *("beat", "-l", "INFO", "-s", str(folder / "schedule"), "--pidfile=", *more),
    ]
    env = {**os.environ, **environment(app), "PYTHONPATH": str(ROOT)}
    process: subprocess.Popen[bytes] = spawn(command, log, env=env)
    try:
        wait_until(
            lambda: process.poll() is not None or "Starting" in log.read_text(),
            30,
            "beat starts",
        )
        assert process.poll() is None, log.read_text()[-2_000:]
        yield
    finally:
        kill_group(process)
