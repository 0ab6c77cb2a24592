"""What a broker cannot give is said in a sentence, before anybody misses it."""

import logging
from typing import Any, cast

import pytest
from celery import Celery

from herald_monitor.config import MonitorSettings
from herald_monitor.daemon import monitor_of
from herald_monitor.memory import MemoryStore
from herald_monitor.transports import shortcomings


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
    assert shortcomings(of(url)) == ""


@pytest.mark.parametrize(
    ("url", "part"),
    [
        ("memory://", "lives within one process"),
        ("filesystem://", "about once a second"),
        ("sqs://", "carries neither events nor remote control"),
        ("confluentkafka://h:9092", "confluentkafka:// has no monitoring"),
        ("sqla+sqlite:///x.db", "sqla:// has no monitoring"),
    ],
)
def test_of_others_it_is_said_what_they_cannot_give(url: str, part: str) -> None:
    said = shortcomings(of(url))
    assert part in said
    assert said.endswith("use RabbitMQ (amqp://) or Redis (redis://, sentinel://)")


def test_a_monitor_says_it_when_it_is_made(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    monitor_of(MonitorSettings(), of("memory://"), MemoryStore())
    assert "lives within one process" in caplog.text
