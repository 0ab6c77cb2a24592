"""Events and images that the contract of the stores is tested with."""

from typing import Any

import msgspec

from herald_core.model.events.event import Event
from herald_core.model.monitors import MonitorView
from herald_core.model.tasks.projection import project
from herald_core.model.tasks.task import Task, merge
from herald_core.model.tasks.views import TaskView, to_rfc3339
from herald_core.model.workers.queue import QueueView
from herald_core.store.ports import Store
from tests.support.store.labs import NOW, event


def life(task_id: str) -> list[Event]:
    """Return the four events of a task that succeeds."""
    return [
        event("sent", task_id, 1, host="client", name="x.add", queue="q"),
        event("received", task_id, 2, name="x.add", args="(1, 2)"),
        event("started", task_id, 3),
        event("succeeded", task_id, 4, result="3", runtime=0.5),
    ]


def merged(events: list[Event]) -> dict[str, TaskView]:
    """Return what all `events` come to, without any store."""
    tasks: dict[str, Task] = {}
    for one in events:
        tasks[one.task_id] = merge(tasks.get(one.task_id), one)
    return {id_: project(task) for id_, task in tasks.items()}


async def stored(store: Store, ids: list[str]) -> dict[str, TaskView]:
    """Return what is stored of `ids`, without rev."""
    images = [image for image in await store.get_tasks(ids) if image]
    return {i.id: msgspec.structs.replace(i, rev=None) for i in images}


MONITOR = MonitorView(id="m1", started_at="2027-01-15T08:00:00.000Z", seen_at="now")


def measured(name: str = "reports", at: float = 0.0, **fields: Any) -> QueueView:
    """Return a queue as it was at NOW + `at`."""
    return QueueView(id=name, name=name, as_of=to_rfc3339(NOW + at), **fields)
