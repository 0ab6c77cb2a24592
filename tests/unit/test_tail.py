"""What is kept for a stream of events whose client takes nothing."""

from collections.abc import Sequence
from typing import Any

import pytest

from herald_monitor.model.changes import Entry
from herald_server.hub import Hub
from herald_server.mcp.events_wire import Place
from herald_server.mcp.tail import MAX_FRESH, Tail
from tests.unit.pushing import at, change

pytestmark = pytest.mark.anyio


class Log:
    """A log that remembers all that was published."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    async def read(self, after: object, most: int = 200) -> Sequence[Entry]:
        return [entry for entry in self.entries if entry.cursor > after][:most]  # type: ignore[operator]

    async def end(self) -> object:
        return self.entries[-1].cursor


def kept(tail: Any) -> list[Entry]:
    return list(tail._fresh)


async def test_the_oldest_changes_fall_out_and_are_read_from_the_log() -> None:
    hub, log = Hub(), Log()
    hub.start_over(at(0), "new")
    each = MAX_FRESH // 4
    with Tail(hub, log, Place(at(0))) as tail:  # type: ignore[arg-type]
        for n in range(1, 20):
            changes = [change(n, f"{n}-{k}", number=k) for k in range(each)]
            log.entries.append(Entry(at(n), tuple(changes)))
            hub.publish(log.entries[-1])
        assert sum(len(entry.changes) for entry in kept(tail)) <= MAX_FRESH
        told: list[str] = []
        while len(told) < 19 * each:
            found = await tail.more()
            assert found is not None
            assert not found.broken
            told += [met.change.id for met in found.changes]
    assert told == [f"{n}-{k}" for n in range(1, 20) for k in range(each)]


async def test_an_entry_that_is_larger_is_kept_alone() -> None:
    hub, log = Hub(), Log()
    hub.start_over(at(0), "new")
    with Tail(hub, log, Place(at(0))) as tail:  # type: ignore[arg-type]
        for n in (1, 2):
            changes = [change(n, f"{k}", number=k) for k in range(MAX_FRESH + 1)]
            hub.publish(Entry(at(n), tuple(changes)))
        assert [entry.cursor for entry in kept(tail)] == [at(2)]
