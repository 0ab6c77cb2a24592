"""What a worker did at a time: its runs, and the changes of its state."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from herald_core.errors import InvalidInput
from herald_core.model.events.event import Event
from herald_core.model.tasks.views import to_rfc3339
from herald_core.store.memory.store import MemoryStore
from herald_server.insight.workers import history
from herald_server.insight.workers.history import Span, parse_moment, read_history
from herald_server.insight.workers.state_log import StateChange, StateLog

pytestmark = pytest.mark.anyio

NOON = 1_800_000_000.0


async def store_runs(store: MemoryStore, *runs: tuple[str, str, float, float]) -> None:
    """Store runs as (task, worker, start, end); a second run of a task is a retry."""
    clock, seen = 0, dict[str, int]()
    for task_id, host, start, end in runs:
        retries = seen.get(task_id, 0)
        seen[task_id] = retries + 1
        for kind, at in (("received", start), ("started", start), ("succeeded", end)):
            clock += 1
            again = [one[0] for one in runs].count(task_id) > seen[task_id]
            event = Event(
                kind="retried" if kind == "succeeded" and again else kind,
                task_id=task_id,
                at=NOON + at,
                host=host,
                pid=7,
                clock=clock,
                name="job" if kind == "received" else None,
                retries=retries if kind == "received" else None,
            )
            await store.store([event], now=NOON + at)


async def read(store: MemoryStore, host: str, since: float, until: float) -> Any:
    """Return what `host` did from `since` until `until` seconds after noon."""
    span = Span(NOON + since, NOON + until)
    return await read_history(store, StateLog(store), host, span)


async def test_runs_that_overlap_the_span_are_found_and_no_others() -> None:
    store = MemoryStore()
    await store_runs(
        store,
        ("before", "a", 0, 9),
        ("into", "a", 5, 15),
        ("within", "a", 12, 13),
        ("across", "a", 1, 99),
        ("after", "a", 21, 30),
        ("elsewhere", "b", 12, 13),
    )
    found = await read(store, "a", 10, 20)
    assert [one.id for one in found["runs"]] == ["across", "into", "within"]
    assert (found["total"], found["whole"]) == (3, True)


async def test_an_earlier_run_of_a_task_that_ended_elsewhere_is_found() -> None:
    store = MemoryStore()
    await store_runs(store, ("moved", "a", 0, 5), ("moved", "b", 50, 60))
    found = await read(store, "a", 0, 10)
    assert [(one.id, one.attempt) for one in found["runs"]] == [("moved", 1)]
    assert (await read(store, "a", 40, 70))["runs"] == []


async def test_a_search_that_ends_early_says_how_far_it_came(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(history, "PAGE_SIZE", 2)
    monkeypatch.setattr(history, "MAX_SEARCHED", 2)
    store = MemoryStore()
    await store_runs(store, *((f"t{n}", "a", n, n + 1) for n in range(5)))
    found = await read(store, "a", 0, 10)
    assert not found["whole"]
    assert [one.id for one in found["runs"]] == ["t3", "t4"]
    assert found["searched_back_to"] == to_rfc3339(NOON + 3)
    assert "Older tasks may have run then too" in found["message"]


async def test_changes_of_state_are_those_in_the_span_and_the_last_before() -> None:
    store = MemoryStore()
    for at, state in ((0, "started"), (12, "silent"), (15, "online"), (30, "offline")):
        change = StateChange(to_rfc3339(NOON + at), "a", state)
        await store.push_line("worker-states", msgspec.json.encode(change), 9, 99)
    found = await read(store, "a", 10, 20)
    assert [one.state for one in found["changes"]] == ["silent", "online"]
    assert found["state_before"].state == "started"
    assert (await read(store, "b", 10, 20))["state_before"] is None


def test_a_clock_time_is_the_last_one_in_utc() -> None:
    # 1_800_000_000 is 08:00:00 UTC.
    assert parse_moment("02:13", NOON) == NOON - 5 * 3600 - 47 * 60
    assert parse_moment("08:00:01", NOON) == NOON + 1 - 86_400
    assert parse_moment("2027-01-15T08:00:00Z", 0.0) == NOON
    assert parse_moment(None, NOON) == NOON


@pytest.mark.parametrize("text", ["25:00", "yesterday", "2027-01-15T08:00:00", "", "1"])
def test_another_text_is_no_time(text: str) -> None:
    with pytest.raises(InvalidInput, match="RFC 3339 time such as"):
        parse_moment(text, NOON)
