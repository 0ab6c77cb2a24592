"""What a broker cannot give is said in a sentence, before anybody misses it."""

import logging
from typing import Any, cast

import pytest
from celery import Celery

from herald_core.settings import MonitorSettings
from herald_core.store.memory.store import MemoryStore
from herald_monitor.ingest.consumers.broker_support import describe_limitations
from herald_monitor.runtime.daemon import build_monitor


def of(url: object) -> Celery:
    return Celery("x", broker=cast(Any, url), set_as_current=False)


@pytest.mark.parametrize(
    "url",
    [
        *("amqp://h//", "amqps://h//", "pyamqp://h//", "amqp://a//;amqp://b//"),
        *("redis://h/0", "rediss://h/0", "redis+socket:///run/redis.sock"),
        "sentinel://a:26379;sentinel://b:26379",
        ["amqp://a//", "amqp://b//"],
    ],
)
def test_rabbitmq_redis_and_sentinel_give_all(url: object) -> None:
    assert describe_limitations(of(url)) == ""


@pytest.mark.parametrize(
    ("url", "part"),
    [
        ("memory://", "lives within one process"),
        ("filesystem://", "about once a second"),
        ("sqs://", "carries neither events nor remote control"),
        ("confluentkafka://h:9092", "confluentkafka:// carries neither events nor"),
        ("sqla+sqlite:///x.db", "sqla:// carries neither events nor"),
        ("mongodb://h/x", "mongodb:// has no monitoring"),
    ],
)
def test_of_others_it_is_said_what_they_cannot_give(url: str, part: str) -> None:
    said = describe_limitations(of(url))
    assert part in said
    assert "use RabbitMQ (amqp://) or Redis (redis://, sentinel://)" in said
    assert said.endswith("celery -A PROJECT worker -I herald_worker.auto")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (
            "sqs://",
            "events come by the outbox; Amazon SQS carries no remote control, so no "
            "task can be cancelled and no worker be asked",
        ),
        (
            "sqla+sqlite:///x.db",
            "events come by the outbox; the broker sqla:// carries no remote control, "
            "so no task can be cancelled and no worker be asked",
        ),
        ("filesystem://", ""),
        ("redis://h/0", ""),
    ],
)
def test_with_the_outbox_only_remote_control_is_missing(url: str, said: str) -> None:
    assert describe_limitations(of(url), outbox=True) == said


def test_a_monitor_says_it_when_it_is_made(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    build_monitor(MonitorSettings(), of("memory://"), MemoryStore())
    assert "lives within one process" in caplog.text
