"""How Herald keeps: records and the news of them in one step, numbered.

The store of these tests lives in memory; Redis and Valkey are held to the same
contract in tests/contract.
"""

import time

import pytest

from herald_core.model.cursor import START
from herald_core.model.events.event import Event
from herald_core.model.filters import Filter
from herald_core.store.memory.store import MemoryStore

pytestmark = pytest.mark.anyio


def word(
    kind: str, task_id: str = "t1", clock: int = 1, name: str | None = None
) -> Event:
    """Return something that a worker says."""
    return Event(
        kind=kind, task_id=task_id, at=time.time(), host="w@one", pid=7, clock=clock,
        retries=0 if kind == "received" else None, name=name,
    )  # fmt: skip


async def keep(store: MemoryStore, *events: Event) -> None:
    """Store events as a monitor does."""
    await store.store(events, now=time.time())


async def test_what_is_stored_is_announced_in_the_same_step() -> None:
    store = MemoryStore()
    before = await store.read_end()
    await keep(store, word("received"), word("started", clock=2))
    (entry,) = await store.read_entries(before)
    (change,) = entry.changes
    assert change.task is not None
    assert change.task.state == "STARTED"
    assert (await store.get_task("t1")).rev == change.rev


async def test_nothing_new_is_no_news() -> None:
    store = MemoryStore()
    event = word("received")
    await keep(store, event)
    end = await store.read_end()
    await keep(store, event)
    assert await store.read_end() == end


async def test_each_batch_follows_the_one_before() -> None:
    """So whoever reads the log knows whether something is missing."""
    store = MemoryStore()
    for clock, kind in enumerate(["received", "started", "succeeded"], 1):
        await keep(store, word(kind, clock=clock))
    one, two, three = await store.read_entries(START)
    assert two.cursor.is_next_after(one.cursor)
    assert three.cursor.is_next_after(two.cursor)
    assert not three.cursor.is_next_after(one.cursor)


async def test_a_change_says_what_was_before() -> None:
    """So a watcher of RECEIVED tasks learns that one is not received any more."""
    store = MemoryStore()
    await keep(store, word("received"))
    end = await store.read_end()
    await keep(store, word("started", clock=2))
    (entry,) = await store.read_entries(end)
    before = entry.changes[0].before
    assert before is not None
    assert before.state == "RECEIVED"


async def test_an_id_that_nobody_spoke_of_is_unknown() -> None:
    """It is not "pending": Herald does not say what it does not know."""
    assert (await MemoryStore().get_task("never-heard-of")).state == "UNKNOWN"


async def test_tasks_are_found_by_what_they_are() -> None:
    store = MemoryStore()
    await keep(store, word("received", "a", name="reports.daily"))
    await keep(store, word("received", "b", name="mails.send"))
    page = await store.list_tasks(Filter(name=("reports.*",)))
    assert [task.id for task in page.tasks] == ["a"]


async def test_a_task_whose_time_is_over_is_forgotten_aloud() -> None:
    store = MemoryStore(retention=60)
    await keep(store, word("received"), word("succeeded", clock=2))
    end = await store.read_end()
    assert await store.expire_tasks(now=time.time() + 61) == 1
    (entry,) = await store.read_entries(end)
    assert entry.changes[0].is_deletion
    assert (await store.get_task("t1")).state == "EXPIRED"
