"""Tasks that Herald did not start are found by what their workers say of them."""

from typing import Any

import pytest

from herald_core.model.events.event import Event, parse_event
from herald_core.model.filters import Filter
from tests.support.model.worker_events import OUTBOX, PLAIN
from tests.support.store.labs import NOW, Lab, all_changes, walk

pytestmark = pytest.mark.anyio


def said(kind: str, task_id: str, clock: int = 1, **more: object) -> Event:
    """Return the event of a worker, as it was received."""
    raw: dict[str, Any] = {**PLAIN, "type": f"task-{kind}", "uuid": task_id}
    raw |= {"root_id": task_id, "timestamp": NOW + clock, "clock": clock}
    event = parse_event({**raw, **more}, NOW + clock)
    assert event is not None
    return event


def of_user(number: int, index: int) -> dict[str, Any]:
    """Return what the outbox says of a task of a user."""
    queue = "mail" if number % 2 else "reports"
    tags = [f"user:{number}", "all"]
    group = {"group_id": f"g{number}", "group_index": index, "chord_id": f"c{number}"}
    return {**OUTBOX, **group, "queue": queue, "tags": tags, "stamps": {"by": ["me"]}}


@pytest.mark.parametrize(
    ("filter_", "number"),
    [
        (Filter(tag=("user:2",)), 3),
        (Filter(tag=("user:2", "user:3")), 6),
        (Filter(tag=("all",)), 12),
        (Filter(tag=("user:9",)), 0),
        (Filter(group=("g1",)), 3),
        (Filter(queue=("mail",)), 6),
        (Filter(queue=("m*", "rep*")), 12),
        (Filter(tag=("user:2",), queue=("mail",)), 0),
        (Filter(tag=("all",), also=Filter(tag=("user:2",))), 3),
    ],
)
async def test_tasks_are_found_by_what_their_worker_says(
    lab: Lab, filter_: Filter, number: int
) -> None:
    told = [
        said("received", f"t{n}-{i}", **of_user(n, i))
        for n in range(4)
        for i in range(3)
    ]
    async with lab.open() as store:
        await store.store([*told, said("received", "other")], now=NOW)
        found = await walk(store, filter_, 2)
        assert len(found) == number
        assert all(filter_.matches(task) for task in found)
        assert await store.count_tasks(filter_, 100) == number


async def test_all_of_it_is_stored_and_read(lab: Lab) -> None:
    async with lab.open() as store:
        await store.store([said("received", "a", **of_user(1, 2))], now=NOW)
        await store.store([said("succeeded", "a", 2, result="5")], now=NOW + 1)
        task = await store.get_task("a")
        assert (task.queue, task.routing_key, task.priority) == ("mail", "mail", 3)
        assert (task.group_id, task.group_index, task.chord_id) == ("g1", 2, "c1")
        assert (task.tags, task.stamps) == (("all", "user:1"), {"by": ("me",)})
        assert task.trace_id == str(OUTBOX["traceparent"]).split("-")[1]


async def test_a_task_enters_a_filter_when_its_tags_become_known(lab: Lab) -> None:
    # A producer without the outbox says nothing of tags.
    only = Filter(tag=("user:1",))
    async with lab.open() as store:
        sent = [said("sent", id_, 0, hostname="client@h") for id_ in ("a", "b")]
        await store.store(sent, now=NOW)
        assert await walk(store, only) == []
        told = [said("received", "a", **of_user(1, 0)), said("received", "b")]
        await store.store(told, now=NOW + 1)
        again = said("received", "a", 3, **{**of_user(2, 0), "retries": 1})
        await store.store([said("retried", "a", 2), again], now=NOW + 2)
        await store.store([said("started", "a", 4, retries=None)], now=NOW + 3)
        [task] = await walk(store, only)
        assert (task.id, task.state, task.tags) == ("a", "STARTED", ("all", "user:1"))
        shown = [
            (change.task.id, change.task.state)
            async for change in all_changes(store)
            if change.task is not None and only.matches(change.task)
        ]
        assert shown == [("a", "RECEIVED"), ("a", "RETRY"), ("a", "STARTED")]
