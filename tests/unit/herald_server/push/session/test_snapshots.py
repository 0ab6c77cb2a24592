"""However many clients come back with old cursors, few replays are read at a time."""

import asyncio
from typing import Any, cast

import pytest

from herald_core.model.changes import LogEntry
from herald_server.push.log.log_reader import LogReader
from herald_server.push.session.snapshots import MAX_REPLAYS, SnapshotReader
from herald_server.push.session.subscription import ReadRequest
from tests.support.model.changes import Desk, at, change
from tests.support.wait import wait_until_async

pytestmark = pytest.mark.anyio

ENTRIES = 40


class SlowLog:
    """A log of which each read waits to be let go on."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.reading = 0

    async def read_entries(self, after: Any, **_: Any) -> list[LogEntry]:
        """Return what lies behind `after`: tasks t1, t2 …, every fourth one `mine`."""
        self.reading += 1
        await self.go.wait()
        return [
            LogEntry(at(n), (change(n, f"t{n}", name="other" if n % 4 else "mine"),))
            for n in range(after.n + 1, ENTRIES + 1)
        ]


class Sessions:
    """Several sessions of one server, each with something to be read."""

    def __init__(self, number: int) -> None:
        self.log = SlowLog()
        self.desks = [Desk(pos=ENTRIES) for _ in range(number)]
        hub = self.desks[0].hub
        store = cast(Any, self.log)
        self.library = SnapshotReader(store, hub, LogReader(store, hub))

    async def read(self, desk: Desk) -> None:
        """Subscribe from the first entry on, and have it read."""
        read = desk.subscribe(since=str(at(0)), filter={"name": "mine"})
        assert isinstance(read, ReadRequest)
        async for _ in self.library.fulfil(desk.session, read):
            pass


async def test_few_replays_are_read_at_a_time_and_all_in_the_end() -> None:
    many = Sessions(3 * MAX_REPLAYS)
    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        for desk in many.desks:
            tasks.create_task(many.read(desk))
        await wait_until_async(lambda: many.log.reading == MAX_REPLAYS)
        many.log.go.set()
    assert many.log.reading == len(many.desks)
    for desk in many.desks:
        told = [put["id"] for one in desk.data() for put in one["put"]]
        assert told == [f"t{n}" for n in range(4, ENTRIES + 1, 4)]


async def test_a_session_that_ended_meanwhile_takes_no_turn() -> None:
    many = Sessions(MAX_REPLAYS + 1)
    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        for desk in many.desks:
            tasks.create_task(many.read(desk))
        await wait_until_async(lambda: many.log.reading == MAX_REPLAYS)
        many.desks[-1].say(type="unsubscribe", id="s")
        many.log.go.set()
    assert many.log.reading == MAX_REPLAYS


async def test_only_what_is_asked_for_is_kept() -> None:
    one = Sessions(1)
    one.log.go.set()
    kept: list[LogEntry] = []
    desk = one.desks[0]
    read = desk.subscribe(since=str(at(0)), filter={"name": "mine"})
    assert read is not None
    kept += await one.library._read_since(read, at(0), at(ENTRIES)) or ()  # pyright: ignore[reportPrivateUsage]
    assert [entry.cursor.n for entry in kept] == list(range(1, ENTRIES + 1))
    assert sum(len(entry.changes) for entry in kept) == ENTRIES // 4
