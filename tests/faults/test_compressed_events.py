"""A compressed event that would unpack to a great size is set aside, once."""

import bz2
import resource
from functools import cache

import pytest
from celery import Celery

from herald_monitor.ingest.consumers.durable_queue import DurableQueue
from tests.support.celery.event_receiver import hearing
from tests.support.celery.messages import emit
from tests.support.celery.worker import AppFactory
from tests.support.wait import wait_until

LARGE = 256


@cache
def bomb() -> bytes:
    """Return some hundred bytes that unpack to `LARGE` MiB of JSON, made in little."""
    packer = bz2.BZ2Compressor()
    packed = packer.compress(b'{"type":"task-sent","uuid":"bomb","args":"')
    for _ in range(LARGE):
        packed += packer.compress(b"x" * (1 << 20))
    return packed + packer.compress(b'"}') + packer.flush()


def emit_bomb(app: Celery) -> None:
    emit(
        app,
        bomb(),
        serializer=None,
        content_type="application/json",
        content_encoding="utf-8",
        headers={"compression": "bzip2"},
    )


def peak() -> int:
    """Return the most memory that this process ever had, in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def test_its_memory_is_never_taken(broker_url: str, project_app: AppFactory) -> None:
    app = project_app(broker_url)
    with hearing(app) as heard:
        emit(app, {"type": "task-x", "uuid": "before"})
        wait_until(lambda: heard.events, 30, "an ordinary event")
        before = peak()
        emit_bomb(app)
        emit(app, {"type": "task-x", "uuid": "after"})
        wait_until(lambda: len(heard.events) == 2, 30, "the event behind it")
    assert peak() - before < LARGE // 2 * 1024
    [(_, reason)] = heard.poison
    assert "once it is unpacked" in reason


@pytest.mark.rabbitmq
def test_a_durable_queue_does_not_bring_it_back(
    amqp_url: str, project_app: AppFactory
) -> None:
    app = project_app(amqp_url)
    kept = DurableQueue("kept")
    with hearing(app, kept=kept) as heard:
        emit_bomb(app)
        emit(app, {"type": "task-x", "uuid": "1"})
        wait_until(lambda: heard.events, 30, "the event behind it")
        assert len(heard.poison) == 1
    emit(app, {"type": "task-x", "uuid": "2"})
    with hearing(app, kept=kept) as again:
        wait_until(lambda: again.events, 30, "what came meanwhile")
    assert [one["uuid"] for one in again.events] == ["2"]
    assert not again.poison
