"""What is waited for, and what is set aside."""

from collections.abc import Sequence

import pytest

from herald_core.errors import StoreError, StoreUnreachable, StoreUnwritable
from herald_core.model.cursor import Cursor
from herald_core.model.events.event import Event
from herald_core.model.workers.worker_record import Worker
from herald_core.store.types import WriteResult
from herald_monitor.ingest import retrying_writer
from herald_monitor.ingest.retrying_writer import RejectedItem, RetryingWriter

pytestmark = pytest.mark.anyio

EVENTS = [Event(kind="started", task_id=f"t{n}", at=1.0) for n in range(4)]


class RefusingStore:
    """A store that refuses some writes, and always takes the small one of a lease."""

    def __init__(self, error: StoreError, times: int) -> None:
        self.stored: list[Event] = []
        self._error = error
        self._left = times

    async def store(
        self, events: Sequence[Event], workers: Sequence[Worker] = (), *, now: float
    ) -> WriteResult:
        if self._left:
            self._left -= 1
            raise self._error
        self.stored += events
        return WriteResult(Cursor(1, 1), len(events))

    async def acquire_lease(self, work: str, owner: str, seconds: float) -> bool:
        return True


async def store(error: StoreError, times: int) -> tuple[RefusingStore, list[str]]:
    """Store the events; return the store, and what was set aside."""
    refused: list[str] = []

    def on_rejected(item: RejectedItem, reason: str) -> None:
        refused.append(reason)

    target = RefusingStore(error, times)
    writer: RetryingWriter[Event] = RetryingWriter(target, "m1", on_rejected)
    await writer.store(EVENTS)
    return target, refused


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying_writer, "FIRST_PAUSE_S", 0.0001)
    monkeypatch.setattr(retrying_writer, "MAX_PAUSE_S", 0.001)


@pytest.mark.parametrize(
    "error", [StoreUnwritable("it is out of memory"), StoreUnreachable("it is away")]
)
async def test_a_store_that_takes_nothing_is_waited_for(error: StoreError) -> None:
    """Also while it takes a small write now and then, at its limit of memory."""
    target, refused = await store(error, 50)
    assert (target.stored, refused) == (EVENTS, [])


async def test_what_a_sound_store_refuses_is_set_aside() -> None:
    target, refused = await store(StoreError("no such command"), 3 + 1 + 1 + 2)
    assert len(refused) == 1
    assert len(target.stored) == len(EVENTS) - 1
