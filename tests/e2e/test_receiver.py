"""The receiver hears all that real workers say, on every kind of broker."""

import time
from typing import Any, cast

import pytest

from herald_monitor.celery_client.broker.control_broadcaster import PROBE_EVENT
from herald_monitor.ingest.consumers.durable_queue import DurableQueue
from tests.support.celery.event_receiver import Heard, hearing
from tests.support.celery.messages import emit, emit_raw, send
from tests.support.celery.worker import AppFactory, WorkerFactory
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until

pytestmark = pytest.mark.celery

SUCCESS = {"task-sent", "task-received", "task-started", "task-succeeded"}
FAILURE = {"task-sent", "task-received", "task-started", "task-failed"}


def wait_for_last(heard: Heard, task_id: str, kind: str) -> None:
    """Wait until an event of this kind was heard of the task."""
    wait_until(lambda: kind in heard.types_of(task_id), 30, f"{kind} of {task_id}")


@pytest.mark.parametrize(
    ("broker_url", "pool"),
    [
        ("redis", "prefork"),
        ("redis", "threads"),
        pytest.param("amqp", "prefork", marks=pytest.mark.rabbitmq),
    ],
    indirect=["broker_url"],
)
def test_hears_every_kind_of_event(
    broker_url: str, pool: str, project_app: AppFactory, celery_worker: WorkerFactory
) -> None:
    app = project_app(broker_url)
    with hearing(app) as heard:
        worker = celery_worker(app, pool=pool)
        added, failed = send(app, "add", 1, 2), send(app, "fail")
        retried, progress = send(app, "retry_twice"), send(app, "progress")
        rejected = send(app, "reject")
        expired = send(app, "add", 1, 2, countdown=0.8, expires=0.4)
        wait_for_last(heard, added, "task-succeeded")
        wait_for_last(heard, failed, "task-failed")
        wait_for_last(heard, retried, "task-succeeded")
        wait_for_last(heard, progress, "task-succeeded")
        wait_for_last(heard, rejected, "task-rejected")
        wait_for_last(heard, expired, "task-revoked")
        wait_until(lambda: "worker-heartbeat" in kinds(heard), 30, "a heartbeat")
        worker.stop()
        wait_until(lambda: "worker-offline" in kinds(heard), 30, "worker-offline")
    assert set(heard.types_of(added)) == SUCCESS
    assert set(heard.types_of(failed)) == FAILURE
    assert heard.types_of(retried).count("task-retried") == 2
    assert heard.types_of(progress).count("task-progress") == 3
    assert {"worker-online", "worker-heartbeat"} <= kinds(heard)
    assert heard.poison == []
    assert heard.gaps == []


def test_events_of_one_task_come_in_order(
    broker_url: str, project_app: AppFactory, celery_worker: WorkerFactory
) -> None:
    app = project_app(broker_url)
    with hearing(app) as heard:
        celery_worker(app)
        ids = [send(app, "add", 1, i) for i in range(30)]
        wait_until(
            lambda: all("task-succeeded" in heard.types_of(i) for i in ids), 30, "30"
        )
    for task_id in ids:
        told = [t for t in heard.types_of(task_id) if t != "task-sent"]
        assert told == ["task-received", "task-started", "task-succeeded"]


@pytest.mark.parametrize(
    ("broker_url", "first"),
    [
        ("redis", "worker"),
        pytest.param("amqp", "receiver", marks=pytest.mark.rabbitmq),
    ],
    indirect=["broker_url"],
)
def test_turns_events_on(
    broker_url: str, first: str, project_app: AppFactory, celery_worker: WorkerFactory
) -> None:
    """A worker without `-E` sends task events, whoever was there first."""
    app = project_app(broker_url)
    if first == "worker":
        celery_worker(app, events=False, pool="threads")
    with hearing(app) as heard:
        if first == "receiver":
            celery_worker(app, events=False, pool="threads")

        def told() -> bool:
            task_id = send(app, "add", 1, 2)
            wait_until(lambda: "task-sent" in heard.types_of(task_id), 30, "sent")
            return "task-succeeded" in kinds(heard)

        wait_until(told, 30, "events are on")


def test_says_when_the_events_were_heard(
    valkey: PrivateValkey, project_app: AppFactory
) -> None:
    app = project_app(valkey.url)
    with hearing(app) as heard:
        before = time.time()
        emit(app, {"type": "task-x", "uuid": "1"})
        wait_until(lambda: heard.events, 30, "an event")
    assert before <= heard.times[0] <= time.time()
    assert heard.receiver.last_event_at == heard.times[0]
    assert heard.receiver.events == 1


def test_lists_are_taken_apart(broker_url: str, project_app: AppFactory) -> None:
    app = project_app(broker_url)
    sent: list[object] = [{"type": "task-x", "uuid": str(i)} for i in range(100)]
    with hearing(app) as heard:
        emit(app, sent)
        wait_until(lambda: len(heard.events) == 100, 30, "100 events")
    assert heard.events == sent


POISON = [
    (b"{", "application/json"),
    (b"\xff\xfe", "application/json"),
    (b"[1, null]", "application/json"),
    (b'{"no": "type"}', "application/json"),
    (b'{"type": 7}', "application/json"),
    (b"cos\nsystem\n(S'true'\ntR.", "application/x-python-serialize"),
    (b"what", "application/unheard-of"),
]


@pytest.mark.parametrize(("body", "kind"), POISON)
def test_poison_is_set_aside_and_stops_nothing(
    broker_url: str, body: bytes, kind: str, project_app: AppFactory
) -> None:
    app = project_app(broker_url)
    with hearing(app) as heard:
        emit_raw(app, body, kind)
        emit(app, {"type": "task-x", "uuid": "1"})
        wait_until(lambda: heard.events, 30, "the event behind it")
    assert [event["uuid"] for event in heard.events] == ["1"]
    assert heard.poison
    assert heard.receiver.rejected == len(heard.poison)
    assert all(isinstance(b, bytes) and reason for b, reason in heard.poison)
    assert heard.gaps == []


@pytest.mark.parametrize(
    ("published", "shown"),
    [
        (b"", b""),
        (b"no json", b"no json"),
        (b"{}", b"{}"),
        (b"[]", b"[]"),
        (
            b'{"body": "%%%", "properties": '
            b'{"body_encoding": "base64"}, "content-type": "application/json"}',
            b"(3 bytes of no base64)",
        ),
    ],
)
def test_what_is_no_message_is_set_aside_on_redis(
    valkey: PrivateValkey, published: bytes, shown: bytes, project_app: AppFactory
) -> None:
    app = project_app(valkey.url)
    exchange = cast(Any, app).conf.event_exchange
    with hearing(app) as heard, valkey.client() as client:
        client.publish(f"/0.{exchange}/task.x", published)
        emit(app, {"type": "task-x", "uuid": "1"})
        wait_until(lambda: heard.events, 30, "the event behind it")
    assert [body for body, _ in heard.poison] == [shown]


def test_values_that_only_python_calls_json_are_read(
    broker_url: str, project_app: AppFactory
) -> None:
    app = project_app(broker_url)
    with hearing(app) as heard:
        emit_raw(app, b'{"type": "worker-x", "load": Infinity}', "application/json")
        wait_until(lambda: heard.events, 30, "the event")
    assert heard.events == [{"type": "worker-x", "load": float("inf")}]


def test_compressed_and_yaml_bodies_are_read(
    broker_url: str, project_app: AppFactory
) -> None:
    app = project_app(broker_url, event_serializer="yaml")
    with hearing(app) as heard:
        emit(app, {"type": "task-x", "uuid": "1"}, compression="zlib")
        emit(app, {"type": "task-x", "uuid": "2"}, serializer="yaml")
        wait_until(lambda: len(heard.events) == 2, 30, "both")


def test_probes_are_not_delivered(broker_url: str, project_app: AppFactory) -> None:
    app = project_app(broker_url)
    with hearing(app, probe_every=0.1) as heard:
        wait_until(lambda: heard.receiver.messages >= 3, 30, "three probes")
    assert PROBE_EVENT not in kinds(heard)
    assert heard.receiver.events == 0
    assert heard.receiver.last_event_at is None
    assert heard.gaps == []


def test_leaves_nothing_on_redis(
    valkey: PrivateValkey, project_app: AppFactory
) -> None:
    app = project_app(valkey.url)
    with hearing(app) as heard:
        wait_until(lambda: heard.receiver.messages, 30, "the first probe")
    with valkey.client() as client:
        assert client.keys("*") == []


OPTIONS: list[dict[str, object]] = [
    {"global_keyprefix": "shop:"},
    {"fanout_prefix": False},
    {"fanout_prefix": "/mine."},
    {"fanout_patterns": False},
]


@pytest.mark.parametrize("options", OPTIONS)
def test_channels_are_named_as_the_project_names_them(
    valkey: PrivateValkey, options: dict[str, object], project_app: AppFactory
) -> None:
    app = project_app(valkey.url, broker_transport_options=options)
    with hearing(app) as heard:
        emit(app, {"type": "task-x", "uuid": "1"})
        wait_until(lambda: heard.events, 30, "the event")


@pytest.mark.rabbitmq
def test_named_receiver_misses_nothing_while_it_is_away(
    amqp_url: str, project_app: AppFactory
) -> None:
    app = project_app(amqp_url)
    with hearing(app, kept=DurableQueue("kept")) as heard:
        emit(app, {"type": "task-x", "uuid": "before"})
        wait_until(lambda: heard.events, 30, "the first")
    emit(app, {"type": "task-x", "uuid": "meanwhile"})
    with hearing(app, kept=DurableQueue("kept")) as heard:
        wait_until(lambda: heard.events, 30, "the second")
    assert [event["uuid"] for event in heard.events] == ["meanwhile"]


def kinds(heard: Heard) -> set[str]:
    """Name the kinds of all events heard."""
    return {str(event["type"]) for event in heard.events}
