"""A store of 10,000 tasks, groups of 500, many names, queues and workers, for tests."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from typing import Any

from herald_core.model.events.event import Event
from herald_core.model.tasks.views import to_rfc3339
from herald_core.model.workers.queue import QueueView
from herald_core.store.ports import Store
from tests.support.herald.memory_server import worker_of

TASKS = 10_000
GROUP_SIZE = 500
NAMES = 200
WORKERS = 100
QUEUES = 60
ACTIVE_EVERY = 4
FAILED_EVERY = 7
GROUP = "8f6f1a52-3c1e-4a37-9d3e-0a5c2d3f4b5c"
LONG_ERROR = "OperationalError('connection to server at db-primary failed: timeout" + (
    " while waiting for the replica to confirm the transaction" * 10
)


def make_id(number: int) -> str:
    """Return the id of a task: a UUID, as Celery's are."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"task {number}"))


def make_events(number: int, at: float) -> Iterator[Event]:
    """Yield the events of one task."""
    fields: dict[str, Any] = {"task_id": make_id(number), "host": "celery@w-0001"}
    name = f"warehouse.pipelines.domain_{number % NAMES:03}.refresh_materialized_view"
    group = GROUP if number < GROUP_SIZE else None
    more: dict[str, Any] = {"name": name, "retries": 0, "queue": f"q-{number % QUEUES}"}
    tags = ("tenant:acme-corporation", f"order:{number}")
    more |= {"group_id": group, "tags": tags, "kwargs": "{'order_id': 12345}" * 5}
    yield Event(kind="sent", at=at, clock=number, source="event", **fields, **more)
    yield Event(kind="received", at=at + 1, clock=number + 1, name=name, **fields)
    if number % ACTIVE_EVERY == 0:
        return
    yield Event(kind="started", at=at + 2, clock=number + 2, **fields)
    if number % FAILED_EVERY == 0:
        yield Event(
            kind="failed", at=at + 3, clock=number + 3, exception=LONG_ERROR, **fields
        )
    else:
        result = "{'rows': [1, 2, 3], 'text': 'ok'}" * 20
        yield Event(
            kind="succeeded",
            at=at + 3,
            clock=number + 3,
            result=result,
            runtime=1.234567,
            **fields,
        )


async def fill(store: Store, tasks: int = TASKS) -> None:
    """Store the installation, with the first `tasks` of its tasks."""
    now = time.time()
    for first in range(0, tasks, 500):
        events = [
            event
            for number in range(first, first + 500)
            for event in make_events(number, now - 600 + number / 100)
        ]
        await store.store(events, now=now)
    workers = [worker_of(f"celery@worker-{n:04}.internal") for n in range(WORKERS)]
    await store.store([], workers, now=now)
    consumers = tuple(f"celery@worker-{n:04}.internal" for n in range(WORKERS))
    await store.store_queues(
        [
            QueueView(
                id=f"q-{n}",
                name=f"q-{n}",
                depth=n,
                consumers=consumers if n % 2 else (),
                as_of=to_rfc3339(now),
            )
            for n in range(QUEUES)
        ],
        now=now,
    )
