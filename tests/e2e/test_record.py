"""`herald record` writes what real workers say, and `herald replay` tells it again."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from herald_core.system.subprocesses import spawn, terminate
from tests.support.celery.messages import emit, emit_raw, send
from tests.support.celery.project import environment
from tests.support.celery.worker import AppFactory, WorkerFactory
from tests.support.environment import ROOT
from tests.support.herald.monitor_process import open_store
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until

pytestmark = [pytest.mark.celery, pytest.mark.anyio]


def herald(app: Celery, log: Path, *words: str) -> "subprocess.Popen[bytes]":
    """Start a `herald` command for the app of `support/celery/project.py`."""
    env = {**os.environ, **environment(app), "PYTHONPATH": str(ROOT)}
    command = [
        sys.executable,
        "-m",
        "herald_server",
        *words,
        "-A",
        "tests.support.celery.project",
    ]
    return spawn(command, log, env=env)


def messages(file: Path) -> list[dict[str, Any]]:
    """Return the lines of a recording."""
    if not file.exists():
        return []
    return [json.loads(line) for line in file.read_text().splitlines()]


def events(file: Path) -> list[dict[str, Any]]:
    """Return all events of a recording."""
    return [event for one in messages(file) for event in one.get("events", ())]


async def test_recording_of_real_workers_gives_their_tasks(
    broker_url: str,
    valkey: PrivateValkey,
    project_app: AppFactory,
    celery_worker: WorkerFactory,
    tmp_path: Path,
) -> None:
    app, file = project_app(broker_url), tmp_path / "it.jsonl"
    recording = herald(app, tmp_path / "record.log", "record", str(file))
    try:
        worker = celery_worker(app)
        wait_until(lambda: worker.hostname in str(events(file)), 30, "the worker")
        ids = [send(app, "add", 1, number) for number in range(10)]
        ids += [send(app, "fail", "password=hunter2"), send(app, "retry_twice")]

        def over() -> bool:
            ends = {"task-succeeded", "task-failed"}
            ended = {e["uuid"] for e in events(file) if e["type"] in ends}
            return set(ids) <= ended

        wait_until(over, 30, "all have ended")
        os.kill(recording.pid, signal.SIGINT)
        assert recording.wait(30) == 0, (tmp_path / "record.log").read_text()
    finally:
        terminate(recording, 5)
    assert "hunter2" not in file.read_text()
    assert {"task.multi", "task.sent"} <= {one["routing_key"] for one in messages(file)}
    assert all(one["heard"] > 1e9 for one in messages(file))

    words = [sys.executable, "-m", "herald_server", "replay", str(file)]
    told = subprocess.run(
        [*words, "--store", valkey.url.rpartition("/")[0] + "/5"],
        capture_output=True,
        timeout=30,
        check=True,
    )
    assert b"0 set aside" in told.stderr
    async with open_store(valkey.url.rpartition("/")[0] + "/5") as store:
        found = await store.get_tasks(ids)
    states = [task.state if task else None for task in found]
    assert states == ["SUCCESS"] * 10 + ["FAILURE", "SUCCESS"]


def test_recording_ends_by_itself_and_notes_what_is_unreadable(
    broker_url: str, project_app: AppFactory, tmp_path: Path
) -> None:
    app, file = project_app(broker_url), tmp_path / "it.jsonl"
    log = tmp_path / "record.log"
    recording = herald(app, log, "record", str(file), "--count", "5", "--for", "20")
    try:

        def heard() -> bool:
            emit(app, {"type": "task-x", "uuid": "1"})
            return bool(events(file))

        wait_until(heard, 30, "it records")
        emit_raw(app, b'{"type": "task-x", "password": "hunter2"', "application/json")
        emit(app, [{"type": "task-x", "uuid": str(number)} for number in range(5)])
        assert recording.wait(30) == 0
    finally:
        terminate(recording, 5)
    assert len(events(file)) >= 5
    [unread] = [one["unread"] for one in messages(file) if "unread" in one]
    assert "cannot be read" in unread
    assert "hunter2" not in unread
    assert "recorded" in log.read_text()


def test_recording_stops_in_time_though_nothing_is_heard(
    valkey: PrivateValkey, project_app: AppFactory, tmp_path: Path
) -> None:
    app, log = project_app(valkey.url), tmp_path / "record.log"
    recording = herald(app, log, "record", "-", "--for", "0.3")
    try:
        assert recording.wait(30) == 0
    finally:
        terminate(recording, 5)
    assert "recorded 0 events in 0 messages" in log.read_text()
