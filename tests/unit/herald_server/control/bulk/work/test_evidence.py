"""Whether tasks were sent: what proves it, and what proves the contrary."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, cast

import pytest

from herald_core.model.events.event import Event
from herald_core.model.gaps import Gap
from herald_core.model.tasks.views import TaskView, to_rfc3339
from herald_core.store.memory.store import MemoryStore
from herald_server.control.bulk.work.evidence import EvidenceFinder, SendEvidence
from herald_server.control.cancel.task_finder import LocatedTasks
from herald_server.control.start.publisher import BrokerUnreachable

pytestmark = pytest.mark.anyio

SENT_AT = 1_000.0
REPORTED = TaskView(id="old", worker="w@a", received_at=to_rfc3339(1.0))
SILENT = TaskView(id="old")


@pytest.fixture
async def store() -> AsyncIterator[MemoryStore]:
    """A store in which Herald has registered `new`."""
    made = MemoryStore()
    await made.open()
    event = Event(kind="sent", task_id="new", at=SENT_AT, source="submitted")
    await made.store([event], now=SENT_AT)
    yield made
    await made.close()


async def find(
    store: MemoryStore,
    found: LocatedTasks | None,
    old: TaskView = REPORTED,
    *,
    current: bool = True,
) -> SendEvidence:
    """Look for `new`, where workers and queues show `found` (None: no answer)."""

    async def locate(ids: Sequence[str], now: float) -> LocatedTasks:
        if found is None:
            raise BrokerUnreachable("no answer")
        return found

    finder = EvidenceFinder(store, cast(Any, locate), lambda: current, settle_s=0)
    return await finder.find({"new": old}, SENT_AT)


NOWHERE = LocatedTasks(is_complete=True)
NOTHING = SendEvidence()


async def test_an_event_of_a_worker_proves_the_sending(store: MemoryStore) -> None:
    event = Event(kind="received", task_id="new", at=SENT_AT + 1, host="w@a", pid=1)
    await store.store([event], now=SENT_AT + 1)
    assert (await find(store, None)).sent == {"new"}


async def test_a_waiting_message_proves_the_sending(store: MemoryStore) -> None:
    found = LocatedTasks(waiting=frozenset(["new"]))
    assert (await find(store, found)).sent == {"new"}


async def test_it_was_not_sent_if_all_that_would_show_it_does_not(
    store: MemoryStore,
) -> None:
    assert (await find(store, NOWHERE)).not_sent == {"new"}


async def test_queues_that_were_not_read_completely_prove_nothing(
    store: MemoryStore,
) -> None:
    assert await find(store, LocatedTasks()) == NOTHING
    assert await find(store, None) == NOTHING


async def test_workers_without_events_prove_nothing(store: MemoryStore) -> None:
    assert await find(store, NOWHERE, SILENT) == NOTHING


async def test_monitors_that_are_behind_prove_nothing(store: MemoryStore) -> None:
    assert await find(store, NOWHERE, current=False) == NOTHING


async def test_missed_events_prove_nothing(store: MemoryStore) -> None:
    since, until = to_rfc3339(SENT_AT), to_rfc3339(SENT_AT + 5)
    await store.open_gap(Gap(id="g", since=since, until=until, reason="r"))
    assert await find(store, NOWHERE) == NOTHING
