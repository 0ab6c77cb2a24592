"""A worker that lost its connection still tells how its tasks went on.

Celery's prefork pool forgets what it runs when the worker is connected again, and so
the end of a task whose message was acknowledged is told by nobody.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
from celery import Celery

from tests.support.celery.messages import send
from tests.support.celery.outbox_stream import AUTO, OutboxReader
from tests.support.celery.worker import AppFactory, Worker, WorkerFactory
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until

pytestmark = [pytest.mark.celery, pytest.mark.timeout(240)]


@pytest.fixture
def app(valkey: PrivateValkey, project_app: AppFactory) -> Celery:
    return project_app(valkey.url, valkey.url)


def cut_all(server: PrivateValkey) -> None:
    """Close all connections to the broker."""
    with server.client() as client:
        kill = cast(Any, client).client_kill_filter
        kill(_type="normal", skipme=True)
        kill(_type="pubsub")


def wait_for(stream: OutboxReader, task_id: str, kind: str) -> dict[str, Any]:
    """Wait for an event of a task, and return it."""
    found = wait_until(
        lambda: [e for e in stream.read_task(task_id) if e["type"] == kind],
        30,
        f"{kind} of {task_id}",
    )
    return found[0]


def wait_until_again(worker: Worker) -> None:
    """Wait until the worker is connected to the broker again."""
    text = "Connected to"
    wait_until(lambda: worker.log.read_text().count(text) > 1, 30, "connected again")


@pytest.mark.parametrize(
    ("options", "end"),
    [
        ({}, "task-succeeded"),
        ({"fails": True}, "task-failed"),
        ({"retries": 1}, "task-retried"),
    ],
)
def test_the_end_of_a_forgotten_run_is_told(
    app: Celery,
    stream: OutboxReader,
    valkey: PrivateValkey,
    celery_worker: WorkerFactory,
    tmp_path: Path,
    options: dict[str, object],
    end: str,
) -> None:
    worker = celery_worker(app, events=False, extra=AUTO, concurrency=2)
    words = {"path": str(tmp_path / "journal"), "seconds": 3.0, **options}
    task_id = send(app, "journaled_only", kwargs=words)
    begun = wait_for(stream, task_id, "task-started")
    cut_all(valkey)
    wait_until_again(worker)
    told = wait_for(stream, task_id, end)
    assert told["retries"] == begun["retries"] == 0
    assert 2.5 < told["timestamp"] - begun["timestamp"] < 30.0
    assert told["clock"] > begun["clock"]
    assert stream.read_types(task_id).count(end) == 1


def test_nothing_is_told_twice(
    app: Celery,
    stream: OutboxReader,
    valkey: PrivateValkey,
    celery_worker: WorkerFactory,
) -> None:
    worker = celery_worker(app, events=False, extra=AUTO, concurrency=2)
    ids = [send(app, "add", 1, number) for number in range(10)]
    for task_id in ids:
        wait_for(stream, task_id, "task-succeeded")
    cut_all(valkey)
    wait_until_again(worker)
    last = send(app, "add", 1, 2)
    wait_for(stream, last, "task-succeeded")
    for task_id in ids:
        words = stream.read_types(task_id)
        assert words == ["task-received", "task-started", "task-succeeded"]
