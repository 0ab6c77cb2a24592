"""`install`: early, late, twice, for several apps, and where there is no Redis."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
from celery import Celery

import herald_worker
from herald_worker.outbox.lookup import get_outbox
from tests.support.celery.outbox_stream import OutboxReader
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until

MakeApp = Callable[..., Any]


@pytest.fixture
def make_app() -> Iterator[MakeApp]:
    made: list[Any] = []

    def make(broker: str | None, **options: Any) -> Any:
        made.append(Celery("shop", broker=broker, set_as_current=False, **options))
        return made[-1]

    yield make
    for app in made:
        outbox = get_outbox(app)
        if outbox is not None:
            outbox.close()
        app.close()


def send(app: Any, **options: Any) -> str:
    return str(app.send_task("any", **options).id)


def wait_for_sent(stream: OutboxReader, task_id: str) -> None:
    wait_until(
        lambda: stream.read_types(task_id),
        30,
        "it is recorded",
        accept=lambda types: types == ["task-sent"],
    )


def test_an_app_that_has_sent_tasks_already(
    valkey: PrivateValkey, make_app: MakeApp, stream: OutboxReader
) -> None:
    app = make_app(valkey.url)
    app.conf.task_send_sent_event = True
    before = send(app)
    herald_worker.install(app)
    wait_for_sent(stream, send(app))
    assert stream.read_types(before) == []


def test_an_app_that_has_not_read_its_configuration_yet(
    valkey: PrivateValkey, make_app: MakeApp, stream: OutboxReader
) -> None:
    """Django's settings, for example, must not be read while they are imported."""
    app = make_app(None)
    herald_worker.install(app)
    assert not app.configured
    app.config_from_object({"broker_url": valkey.url})
    wait_for_sent(stream, send(app))


def test_a_configuration_that_is_replaced(
    valkey: PrivateValkey, make_app: MakeApp, stream: OutboxReader
) -> None:
    app = make_app(valkey.url)
    herald_worker.install(app)
    wait_for_sent(stream, send(app))
    app.config_from_object({"broker_url": valkey.url}, force=True)
    wait_for_sent(stream, send(app))


def test_installing_twice_writes_once(
    valkey: PrivateValkey, make_app: MakeApp, stream: OutboxReader
) -> None:
    app = make_app(valkey.url)
    herald_worker.install(app)
    wait_for_sent(stream, send(app))
    outbox = get_outbox(app)
    herald_worker.install(app)
    wait_for_sent(stream, send(app))
    assert get_outbox(app) is outbox


def test_each_app_of_a_process_has_a_stream_of_its_own(
    valkey: PrivateValkey, make_app: MakeApp, stream: OutboxReader
) -> None:
    first, second = make_app(valkey.url), make_app("memory://")
    plain = make_app(valkey.url)
    herald_worker.install(first)
    herald_worker.install(second, valkey.url, stream="second")
    wait_for_sent(stream, send(first))
    of_second = OutboxReader(valkey.url, "second")
    wait_for_sent(of_second, send(second))
    of_second.close()
    task_id = send(plain)
    wait_for_sent(stream, send(first))
    assert stream.read_types(task_id) == []


@pytest.mark.parametrize(
    ("broker", "url", "said"),
    [
        ("memory://", None, "the broker (memory) is none"),
        (
            "memory://",
            "amqp://guest@host//",
            "HERALD_OUTBOX_URL needs a Redis, and amqp is none",
        ),
        (
            "memory://",
            "events:6379",
            "HERALD_OUTBOX_URL needs a Redis, and events is none",
        ),
    ],
)
def test_without_a_redis_a_sentence_says_what_to_set(
    broker: str,
    url: str | None,
    said: str,
    make_app: MakeApp,
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = make_app(broker)
    herald_worker.install(app, url)
    assert send(app)
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert said in record.getMessage()
    assert "Set HERALD_OUTBOX_URL to a Redis" in record.getMessage()
    assert not app.conf.task_send_sent_event, "all is as Celery has it"


def test_a_wrong_setting_is_told_and_tasks_go_on(
    make_app: MakeApp,
    valkey: PrivateValkey,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HERALD_OUTBOX_STREAMS", "many")
    app = make_app(valkey.url)
    herald_worker.install(app)
    assert send(app)
    assert "HERALD_OUTBOX_STREAMS is 'many'" in caplog.text
    assert cast(Any, get_outbox(app)) is None


def test_an_unreachable_redis_delays_no_one_who_sends(make_app: MakeApp) -> None:
    app = make_app("memory://")
    herald_worker.install(app, "redis://127.0.0.1:1/0")
    for _ in range(100):
        assert send(app)
