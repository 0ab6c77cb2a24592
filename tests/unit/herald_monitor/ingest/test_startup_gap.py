"""Who covers the time before the start of a monitor, and who only seems to."""

import time

import pytest

from herald_core.model.monitors import MonitorView, is_covering
from herald_core.model.tasks.views import to_rfc3339
from herald_core.store.memory.store import MemoryStore
from herald_monitor.ingest import startup_gap
from herald_monitor.ingest.startup_gap import is_covered_by_other

AT = 1_800_000_000.0


def other(
    since: float | None,
    stored: float | None,
    *,
    id_: str = "other",
    connected: bool = True,
) -> MonitorView:
    """Return a monitor that receives since then, and has stored all until then."""
    return MonitorView(
        id=id_,
        started_at=to_rfc3339(AT - 100),
        seen_at=to_rfc3339((stored or AT) + 1),
        connected=connected,
        connected_since=None if since is None else to_rfc3339(since),
        stored_until=None if stored is None else to_rfc3339(stored),
    )


def test_who_received_before_and_has_stored_it_covers_a_start() -> None:
    assert is_covering(other(AT - 50, AT + 0.2), AT)


@pytest.mark.parametrize(
    "view",
    [
        # It holds events that it has not stored: they die with it.
        other(AT - 50, AT - 0.3),
        # It began later than we did: both were away before, though its process ran.
        other(AT + 0.1, AT + 2),
        other(AT - 50, AT + 2, connected=False),
        # A monitor of an earlier version does not say.
        other(None, None),
    ],
)
def test_who_does_not(view: MonitorView) -> None:
    assert not is_covering(view, AT)


@pytest.mark.anyio
@pytest.mark.parametrize("stored_after_s", [0.5, -0.5])
async def test_a_monitor_that_dies_with_what_it_received_covers_nothing(
    monkeypatch: pytest.MonkeyPatch, stored_after_s: float
) -> None:
    """Its last heartbeat came after our start; what counts is what it had stored."""
    monkeypatch.setattr(startup_gap, "OTHERS_TIMEOUT_S", 0.2)
    store, at = MemoryStore(), time.time()
    await store.open()
    await store.record_heartbeat(other(at - 60, at + stored_after_s), now=at)
    covered = await is_covered_by_other(store, "me", at)
    assert covered == (stored_after_s > 0)


@pytest.mark.anyio
async def test_of_two_that_start_together_after_an_outage_one_opens_the_gap(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(startup_gap, "OTHERS_TIMEOUT_S", 0.2)
    store, at = MemoryStore(), time.time()
    await store.open()
    begun = {"a": at - 3.0, "b": at - 2.9}
    for node, since in begun.items():
        await store.record_heartbeat(other(since, at, id_=node), now=at)
    assert await is_covered_by_other(store, "b", begun["b"])
    assert not await is_covered_by_other(store, "a", begun["a"])
