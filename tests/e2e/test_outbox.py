"""The worker outbox: events wait in a Redis stream until somebody reads them.

A worker needs one option (`-I herald_worker.auto`), a producer one line
(`herald_worker.install(app)`). Nobody listens while these tests run their tasks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest
from celery import Celery

import herald_worker
from tests.support.celery.outbox_stream import AUTO, OutboxReader
from tests.support.celery.worker import AppFactory, WorkerFactory
from tests.support.outbox.published_events import PublishedEvents
from tests.support.servers.redis import PrivateValkey, private_valkey
from tests.support.wait import wait_until

pytestmark = pytest.mark.celery


@pytest.fixture
def app(valkey: PrivateValkey, project_app: AppFactory) -> Celery:
    return project_app(valkey.url, valkey.url)


@pytest.fixture
def listener(valkey: PrivateValkey) -> Iterator[PublishedEvents]:
    listener = PublishedEvents(valkey.url)
    yield listener
    listener.close()


def send(app: Celery, name: str, *args: object, **options: Any) -> str:
    return str(cast(Any, app).send_task(name, args, **options).id)


def wait_for_end(
    stream: OutboxReader, task_id: str, end: str = "task-succeeded"
) -> None:
    wait_until(lambda: stream.read_types(task_id), 30, end, accept=lambda t: end in t)


def test_one_option_records_all_events_without_the_option_for_events(
    app: Celery,
    stream: OutboxReader,
    celery_worker: WorkerFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    herald_worker.install(app)
    monkeypatch.setenv("HERALD_RELEASE", "4f1c")
    worker = celery_worker(app, events=False, extra=AUTO)
    task_id = send(app, "add", 1, 2)
    # The sender and the worker each write when they can.
    wait_until(
        lambda: (
            sorted(stream.read_types(task_id))
            == ["task-received", "task-sent", "task-started", "task-succeeded"]
        ),
        message="each event is written, once",
    )
    of_workers = [e for e in stream.read_events() if e["type"].startswith("worker-")]
    assert of_workers[0]["type"] == "worker-online"
    assert of_workers[0]["hostname"] == worker.hostname
    assert of_workers[0]["outbox"] is True
    assert of_workers[0]["release"] == "4f1c"
    assert stream.get_expiry_s() > 86_400, "an uninstalled Herald leaves nothing"


@pytest.mark.parametrize("pool", ["threads", "solo", "gevent", "eventlet"])
def test_all_pools_record_all_events(
    pool: str, app: Celery, stream: OutboxReader, celery_worker: WorkerFactory
) -> None:
    worker = celery_worker(app, pool=pool, events=False, extra=AUTO)
    good, bad, told = (send(app, "add", 1, 2), send(app, "fail"), send(app, "tells"))
    wait_for_end(stream, told)
    assert "task-failed" in stream.read_types(bad)
    worker.stop()
    assert stream.read_types(good)[-1] == "task-succeeded"
    assert "worker-offline" in [event["type"] for event in stream.read_events()]


def test_a_clean_stop_writes_what_there_is(
    app: Celery, stream: OutboxReader, celery_worker: WorkerFactory
) -> None:
    worker = celery_worker(app, events=False, extra=AUTO)
    task_ids = [send(app, "add", n, 1) for n in range(20)]
    for task_id in task_ids:
        app.AsyncResult(task_id).get(timeout=30)
    worker.stop()
    assert "worker-offline" in [event["type"] for event in stream.read_events()]
    ends = {stream.read_types(task_id)[-1] for task_id in task_ids}
    assert ends == {"task-succeeded"}


def test_progress_comes_from_the_child_that_runs_the_task(
    app: Celery, stream: OutboxReader, celery_worker: WorkerFactory
) -> None:
    worker = celery_worker(app, events=False, extra=AUTO)
    task_id = send(app, "tells")

    def read_reports() -> list[dict[str, Any]]:
        return [e for e in stream.read_task(task_id) if e["type"] == "task-progress"]

    # Child and parent write for themselves, each in its own order.
    reports = wait_until(
        read_reports,
        30,
        "the end is told",
        accept=lambda found: found and found[-1]["current"] == 1000,
    )
    assert reports[-1]["hostname"] == worker.hostname
    assert reports[-1]["pid"] != worker.pid


def test_what_events_leave_out_is_told_at_sending_and_at_receipt(
    app: Celery, stream: OutboxReader, celery_worker: WorkerFactory
) -> None:
    celery_worker(app, events=False, extra=AUTO)
    herald_worker.install(app)
    with herald_worker.tags("user:42"):
        task_id = send(app, "add", 1, 2, headers={"traceparent": "00-1-2-01"})
    wait_for_end(stream, task_id)
    told = {event["type"]: event for event in stream.read_task(task_id)}
    for kind in ("task-sent", "task-received"):
        assert told[kind]["tags"] == ["user:42"]
        assert told[kind]["queue"] == app.conf.task_default_queue
        assert told[kind]["traceparent"] == "00-1-2-01"
        assert "group_id" not in told[kind]


@pytest.mark.parametrize(
    ("option_e", "also_publish", "published"),
    [
        (False, False, set[str]()),
        (True, False, set[str]()),
        (False, True, {"task-sent"}),
        (True, True, {"task-sent", "task-received", "task-started", "task-succeeded"}),
    ],
)
def test_what_is_published_beside_the_outbox_is_what_celery_would_publish(
    option_e: bool,
    also_publish: bool,
    published: set[str],
    app: Celery,
    stream: OutboxReader,
    listener: PublishedEvents,
    celery_worker: WorkerFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Events of workers always are: workers listen to each other."""
    monkeypatch.setenv("HERALD_OUTBOX_ALSO_PUBLISH", str(int(also_publish)))
    herald_worker.install(app)
    worker = celery_worker(app, events=option_e, extra=AUTO)
    task_id = send(app, "add", 1, 2)
    wait_for_end(stream, task_id)
    # Events of one worker come in their order: its last one comes after the task's.
    worker.stop()
    wait_until(lambda: has_type(listener.read_events(), "worker-offline"), 30)
    assert set(listener.read_types(task_id)) == published
    assert has_type(listener.read_events(), "worker-online")
    assert not any("outbox" in event for event in listener.read_events())
    assert len(stream.read_types(task_id)) == 4


def has_type(events: Iterable[Mapping[str, Any]], kind: str) -> bool:
    return any(event["type"] == kind for event in events)


def test_a_producer_that_publishes_no_event_of_sending_still_does_not(
    valkey: PrivateValkey,
    stream: OutboxReader,
    listener: PublishedEvents,
    project_app: AppFactory,
) -> None:
    app = project_app(valkey.url, valkey.url, task_send_sent_event=False)
    herald_worker.install(app, also_publish=True)
    task_id = send(app, "add", 1, 2)
    wait_until(lambda: stream.read_types(task_id), 30, "it is recorded")
    with cast(Any, app).events.default_dispatcher() as dispatcher:
        dispatcher.send("custom-mark")
    wait_until(lambda: has_type(listener.read_events(), "custom-mark"), 30)
    assert listener.read_types(task_id) == []
    wait_until(lambda: has_type(stream.read_events(), "custom-mark"), 30)


def test_a_task_that_ends_while_the_broker_is_away(
    valkey: PrivateValkey,
    stream: OutboxReader,
    project_app: AppFactory,
    celery_worker: WorkerFactory,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its end is recorded as soon as the worker goes on; the stream is elsewhere.

    By Celery before 5.7 it is lost: the connection that would publish it is gone.
    """
    with private_valkey() as broker:
        monkeypatch.setenv("HERALD_OUTBOX_URL", valkey.url)
        app = project_app(broker.url)
        celery_worker(app, events=False, extra=AUTO)
        end = tmp_path / "end"
        task_id = send(app, "hold", str(end))
        wait_for_end(stream, task_id, "task-started")
        broker.kill()
        end.touch()
        broker.restart()
        wait_for_end(stream, task_id)


def test_a_killed_worker_loses_little(
    app: Celery, stream: OutboxReader, celery_worker: WorkerFactory
) -> None:
    """Each event is in the stream some milliseconds after it was made."""
    worker = celery_worker(app, events=False, extra=AUTO)
    sent = [send(app, "add", number, 1) for number in range(50)]
    wait_for_end(stream, sent[-1])
    worker.kill()
    delays = sorted(stream.read_delays_s())
    # Milliseconds; the bound is for a busy machine.
    assert delays[len(delays) // 2] < 2.0
