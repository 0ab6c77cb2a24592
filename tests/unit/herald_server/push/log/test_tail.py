"""What a reader of the log gets, and what is kept in memory until it reads."""

from collections.abc import Sequence
from typing import Any

import pytest

from herald_core.model.changes import LogEntry
from herald_server.push.log.hub import Hub
from herald_server.push.log.tail import MAX_CHANGES, LogPosition, LogTail
from tests.support.model.changes import at, change

pytestmark = pytest.mark.anyio


class Log:
    """A log that remembers all that was published."""

    def __init__(self) -> None:
        self.entries: list[LogEntry] = []

    async def read_entries(self, after: object, limit: int = 200) -> Sequence[LogEntry]:
        return [entry for entry in self.entries if entry.cursor > after][:limit]  # type: ignore[operator]

    async def read_end(self) -> object:
        return self.entries[-1].cursor


def kept(tail: Any) -> list[LogEntry]:
    return list(tail._fresh)


async def test_the_oldest_changes_fall_out_and_are_read_from_the_log() -> None:
    hub, log = Hub(), Log()
    hub.reset(at(0), "new")
    each = MAX_CHANGES // 4
    with LogTail(hub, log, LogPosition(at(0))) as tail:  # type: ignore[arg-type]
        for n in range(1, 20):
            changes = [change(n, f"{n}-{k}", number=k) for k in range(each)]
            log.entries.append(LogEntry(at(n), tuple(changes)))
            hub.publish(log.entries[-1])
        assert sum(len(entry.changes) for entry in kept(tail)) <= MAX_CHANGES
        told: list[str] = []
        while len(told) < 19 * each:
            found = await tail.read()
            assert found is not None
            assert not found.lost
            told += [change.id for change, _ in found.changes]
    assert told == [f"{n}-{k}" for n in range(1, 20) for k in range(each)]


async def test_an_entry_that_is_larger_is_kept_alone() -> None:
    hub, log = Hub(), Log()
    hub.reset(at(0), "new")
    with LogTail(hub, log, LogPosition(at(0))) as tail:  # type: ignore[arg-type]
        for n in (1, 2):
            changes = [change(n, f"{k}", number=k) for k in range(MAX_CHANGES + 1)]
            hub.publish(LogEntry(at(n), tuple(changes)))
        assert [entry.cursor for entry in kept(tail)] == [at(2)]


async def test_a_reader_is_told_why_changes_are_missing() -> None:
    hub, log = Hub(), Log()
    hub.reset(at(5), "new")
    log.entries = [LogEntry(at(4)), LogEntry(at(5))]
    with LogTail(hub, log, LogPosition(at(2))) as tail:  # type: ignore[arg-type]
        found = await tail.read()
    assert found is not None
    assert (found.lost, found.end) == ("trimmed", LogPosition(at(5)))


async def test_a_reader_is_told_that_the_log_ends_before_its_position() -> None:
    hub, log = Hub(), Log()
    hub.reset(at(5), "new")
    log.entries = [LogEntry(at(5))]
    with LogTail(hub, log, LogPosition(at(4))) as tail:  # type: ignore[arg-type]
        await tail.read()
        log.entries = [LogEntry(at(1))]
        hub.reset(at(1), "epoch")
        found = await tail.read()
    assert found is not None
    assert (found.lost, found.end) == ("epoch", LogPosition(at(1)))


async def test_a_closed_tail_ends() -> None:
    with LogTail(Hub(), Log(), LogPosition(at(0))) as tail:  # type: ignore[arg-type]
        tail.close()
        assert await tail.read() is None
