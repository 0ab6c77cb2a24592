"""`herald_worker.progress`: heard from any worker, and harmless everywhere else."""

from __future__ import annotations

import time
from functools import partial
from typing import Any, cast

import pytest
from celery import Celery

import herald_worker
from herald_monitor.ingest.consumers.envelope import RawEvent
from tests.support.celery.event_receiver import Heard, hearing
from tests.support.celery.worker import AppFactory, WorkerFactory
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until

TOLD = "task-progress"


def told(heard: Heard, task_id: str) -> list[RawEvent]:
    mine = (event for event in heard.events if event.get("uuid") == task_id)
    return [event for event in mine if event["type"] == TOLD]


def has_all(heard: Heard, task_id: str) -> bool:
    return [event["current"] for event in told(heard, task_id)][-1:] == [1000]


def status(app: Celery, task_id: str) -> str:
    return str(cast(Any, app).backend.get_task_meta(task_id)["status"])


@pytest.mark.celery
@pytest.mark.parametrize(
    ("broker_url", "pool"),
    [
        ("redis", "threads"),
        pytest.param("amqp", "prefork", marks=[pytest.mark.rabbitmq, pytest.mark.soak]),
    ],
    indirect=["broker_url"],
)
def test_a_worker_without_events_is_heard_all_the_same(
    broker_url: str,
    pool: str,
    valkey: PrivateValkey,
    project_app: AppFactory,
    celery_worker: WorkerFactory,
) -> None:
    app = project_app(broker_url, valkey.url)
    celery_worker(app, pool=pool, events=False)
    with hearing(app) as heard:
        sent, quiet = (
            str(cast(Any, app).send_task(name).id)
            for name in ("tells", "tells_nobody_else")
        )
        for one in (sent, quiet):
            wait_until(partial(has_all, heard, one), 30, "the last word was heard")
        wait_until(lambda: status(app, sent) == "SUCCESS", 30, "it has ended")
    events = told(heard, sent)
    assert events[0]["current"] == 1
    assert len(events) < 50, "five a second, not a thousand at once"
    last = events[-1]
    assert (last["total"], last["percent"], last["message"]) == (1000, 100, "step 1000")
    assert status(app, quiet) == "PENDING", "of who ignores results nothing is kept"


def test_outside_of_a_task_nothing_happens() -> None:
    herald_worker.progress(1, 2, "nobody listens")


def test_a_task_that_is_called_like_a_function_tells_nobody() -> None:
    app = Celery("unreachable", broker="redis://127.0.0.1:1/0", set_as_current=False)

    def work() -> str:
        herald_worker.progress(1, 2)
        return "done"

    task = cast(Any, app).task(work, name="work", shared=False)
    assert task() == "done"
    assert task.apply().get() == "done"


def test_a_broker_that_is_away_costs_a_task_little_and_breaks_nothing() -> None:
    app = Celery("unreachable", broker="redis://127.0.0.1:1/0", set_as_current=False)

    def work() -> str:
        herald_worker.progress(1, 2)
        return "done"

    task = cast(Any, app).task(work, name="work", shared=False)
    task.push_request(id="t1", called_directly=False, is_eager=False)
    began = time.monotonic()
    try:
        assert task.run() == "done"
    finally:
        task.pop_request()
    assert time.monotonic() - began < 20
