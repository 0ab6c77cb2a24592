"""The changes of workers are recorded once, whichever server sees them."""

from __future__ import annotations

from typing import Any

import pytest

from herald_core.model.workers.worker import WorkerView
from herald_core.store.key_value import MemoryKeyValueStore
from herald_server.insight.workers.state_log import StateLog

pytestmark = pytest.mark.anyio

NOON = 1_800_000_000.0


def worker(state: str = "online", **more: Any) -> WorkerView:
    """Return a worker that was started once."""
    known = {"pid": 7, "started_at": "t1", "last_heartbeat_at": "t5"}
    given: dict[str, Any] = {**known, **more}
    return WorkerView(id="a", hostname="a", state=state, **given)


async def recorded(log: StateLog) -> list[tuple[str, str]]:
    """Return what is recorded, oldest first."""
    return [(one.state, one.at) for one in reversed(await log.list_changes("a"))]


async def test_starts_silence_and_ends_are_recorded_when_they_were() -> None:
    log = StateLog(MemoryKeyValueStore())
    for one in (
        worker(),
        worker(active=3),  # no change
        worker("silent"),
        worker("online", last_heartbeat_at="t6"),
        worker("draining", last_heartbeat_at="t7"),
        worker("offline", last_heartbeat_at="t7"),
        worker(pid=8, started_at="t9"),
    ):
        await log.record([one], NOON)
    assert await recorded(log) == [
        ("started", "t1"),
        ("silent", "t5"),
        ("online", "2027-01-15T08:00:00.000Z"),
        ("draining", "t7"),
        ("offline", "t7"),
        ("started", "t9"),
    ]


async def test_another_server_goes_on_where_the_first_stopped() -> None:
    items = MemoryKeyValueStore()
    first, second = StateLog(items), StateLog(items)
    await first.record([worker(), worker("silent")], NOON)
    await second.load()
    await second.record([worker("silent")], NOON)
    assert [state for state, _ in await recorded(second)] == ["started", "silent"]
    await second.record([worker()], NOON)
    assert [state for state, _ in await recorded(second)][-1] == "online"


async def test_a_worker_whose_start_was_not_seen_is_online() -> None:
    log = StateLog(MemoryKeyValueStore())
    await log.record([worker(started_at=None)], NOON)
    assert await recorded(log) == [("online", "2027-01-15T08:00:00.000Z")]
