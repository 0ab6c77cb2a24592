"""What a session wants read: snapshots, and what came since a cursor."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence

from herald_monitor.model.changes import QUEUE, TASK, WORKER, Entry
from herald_monitor.model.codec import to_json
from herald_monitor.model.cursor import Cursor
from herald_monitor.model.filters import Filter
from herald_monitor.store import Store
from herald_server import caller
from herald_server.feed import Feed
from herald_server.hub import MAX_BYTES, Hub
from herald_server.limits import BEHIND, Limits
from herald_server.session import Session
from herald_server.shared_read import SharedRead
from herald_server.subscription import Read, Row
from herald_server.waiting_turns import take_turn_for_caller

PAGE = 100
"""Tasks of a snapshot that are read at once: some 6 ms of CPU time."""

MOST = 500
"""Entries of the log that are read at once."""

REPLAY_BYTES = 8 * 1024 * 1024
"""Bytes of images that are read for who comes back; beyond, a snapshot is."""

AT_ONCE = 2
"""Reads for sessions that are under way at a time: one is decoded while the next is on
its way. What comes together is decoded together, and everybody else waits meanwhile.
When all clients come back at once the others wait here, where nobody loses patience."""

REPLAYS_AT_ONCE = 1
"""Replays from the log that are under way at a time: each keeps as much as one
subscription may, as JSON and as images, until it is told."""

TURN_WAIT_S = 2.0
"""Seconds between two chances to send something, while a snapshot waits its turn."""

SNAPSHOT_WAIT_S = 0.5
"""Seconds between two chances while other connections read their snapshots."""

CATCH_UP = 5.0
"""Seconds that a client which is ahead of this process waits for it."""


class Library:
    """Reads for sessions."""

    def __init__(
        self,
        store: Store,
        hub: Hub,
        feed: Feed,
        limits: Limits | None = None,
        *,
        page: int = PAGE,
        catch_up: float = CATCH_UP,
    ) -> None:
        self._store = store
        self._hub = hub
        self._feed = feed
        self._limits = limits or Limits()
        self._page = page
        self._catch_up = catch_up
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._workers = SharedRead(self._all_workers)
        self._replays = asyncio.Semaphore(REPLAYS_AT_ONCE)

    async def serve(self, session: Session, read: Read) -> AsyncGenerator[None]:
        """Read what `read` asks for and hand it to `session`.

        Yields after each step, so that what became ready is sent before more is
        read: a slow client is read for slowly. Raises `StoreError`.
        """
        # The store is narrowed by who is being served: both must say the same.
        assert session.only == caller.only(), "this session is somebody else's"
        if read.finals:
            await self._finals(session, read)
        elif read.since is not None:
            async for _ in self._replay(session, read, read.since):
                yield
        else:
            async for _ in self._snapshot(session, read):
                yield

    # -- what came since ---------------------------------------------------------

    async def _replay(
        self, session: Session, read: Read, since: Cursor
    ) -> AsyncIterator[None]:
        if since > self._hub.pos and not await self._caught_up(since):
            if await self._store.end() < since:
                session.restart(read, "epoch")
            else:
                session.close(BEHIND, "this server is behind your cursor; reconnect")
            return
        if since.epoch != self._hub.pos.epoch:
            session.restart(read, "epoch")
            return
        entries = self._hub.recent(since, self._hub.pos)
        if entries is not None:
            read.sub.awake(self._hub.pos)
            session.replayed(read, entries)
            return
        # Only here it waits, and sends: nobody may hold a place that others need.
        while not await take_turn_for_caller(TURN_WAIT_S):
            yield
        async with self._replays:
            if not session.wanted(read):
                return
            read.sub.awake(self._hub.pos)
            entries = await self._since(read, since, self._hub.pos)
            if not session.wanted(read):
                return
            if entries is None:
                session.restart(read, "trimmed")
            else:
                session.replayed(read, entries)

    async def _caught_up(self, since: Cursor) -> bool:
        return await self._feed.reached(since, self._catch_up)

    async def _since(
        self, read: Read, since: Cursor, until: Cursor
    ) -> list[Entry] | None:
        """Return the entries behind `since` up to `until`; None if any is missing.

        None further: what lies behind `until` is offered by the hub. Of each only
        what `read` asks for, so that no more is in memory.
        """
        entries: list[Entry] = []
        at, changes, size, kept = since, 0, 0, 0
        while at < until:
            async with self._turns:
                some = await self._store.read(at, most=MOST, until=until)
            for entry in some:
                if not entry.cursor.follows(at):
                    return None
                at = entry.cursor
                changes += len(entry.changes)
                size += sum(len(change.json) for change in entry.changes)
                asked_for = read.sub.asked_for(entry.changes)
                kept += sum(len(change.json) for change in asked_for)
                entries.append(Entry(at, asked_for))
                # More of it would not be kept for this client, see `Watcher`.
                if changes > self._limits.snapshot or kept > MAX_BYTES:
                    return None
            if not some or size > REPLAY_BYTES:
                return None
        return entries

    # -- all of it -----------------------------------------------------------------

    async def _snapshot(self, session: Session, read: Read) -> AsyncGenerator[None]:
        while not await take_turn_for_caller(TURN_WAIT_S):
            yield
        try:
            while not await session.turn.take(SNAPSHOT_WAIT_S):
                yield
            async for _ in self._whole(session, read):
                yield
        finally:
            session.turn.give_up()

    async def _whole(self, session: Session, read: Read) -> AsyncGenerator[None]:
        read.sub.awake(self._hub.pos)
        if not await self._narrow_enough(session, read):
            return
        async with self._turns:
            identity = await self._store.identity()
        async for rows in self._rows(read):
            if not session.wanted(read):
                return
            session.page(read, rows)
            yield
            while not await take_turn_for_caller(TURN_WAIT_S):
                yield
        async with self._turns:
            before = self._hub.pos
            end = await self._store.end()
            # Asked last: it vouches for all that was read before, the end too.
            same = await self._store.identity() == identity
        if end < before:
            # The store lost history that was told already: all start over.
            await self._feed.check()
        if same and end >= before:
            if session.wanted(read):
                session.synced(read, end)
        else:
            # Half of what was read may never have been.
            session.restart(read, "epoch")

    async def _narrow_enough(self, session: Session, read: Read) -> bool:
        wish, most = read.sub.wish, self._limits.snapshot
        if wish.topic != TASK or (wish.limit is not None and wish.limit <= most):
            return True
        async with self._turns:
            found = await self._store.count(wish.filter, most)
        if found <= most:
            return True
        session.fail(
            read,
            "too_broad",
            f"over {most} tasks match; narrow the filter, "
            f'or take only the newest with "limit": 500',
            retry=False,
        )
        return False

    async def _rows(self, read: Read) -> AsyncIterator[list[Row]]:
        wish = read.sub.wish
        if wish.topic == TASK:
            async for rows in self._tasks(read):
                yield rows
        elif wish.topic == WORKER:
            async for rows in self._by_pages(read, await self._workers()):
                yield rows
        elif wish.topic == QUEUE:
            queues = await self._store.queues()
            yield [(q.id, q.rev or "", to_json(q), False) for q in queues]
        else:
            yield [(c.id, "", c.json, False) for c in await self._feed.counts()]

    async def _all_workers(self) -> list[Row]:
        workers = await self._store.workers(now=time.time())
        return [(w.id, w.rev or "", to_json(w), False) for w in workers]

    async def _by_pages(self, read: Read, rows: list[Row]) -> AsyncIterator[list[Row]]:
        left = sum(len(json) for _, _, json, _ in rows)
        try:
            for at in range(0, len(rows), self._page):
                page = rows[at : at + self._page]
                left -= sum(len(json) for _, _, json, _ in page)
                read.sub.rest = left
                yield page
        finally:
            read.sub.rest = 0

    async def _tasks(self, read: Read) -> AsyncIterator[list[Row]]:
        left = read.sub.wish.limit
        page: str | None = None
        while left is None or left > 0:
            some = self._page if left is None else min(self._page, left)
            rows, page = await self._page_of(read.sub.wish.filter, some, page)
            if left is not None:
                left -= len(rows)
            yield rows
            if page is None:
                return

    async def _page_of(
        self, filter_: Filter, most: int, page: str | None
    ) -> tuple[list[Row], str | None]:
        """Return the rows of a page, and the next page's name."""
        async with self._turns:
            found = await self._store.page(filter_, limit=most, page=page)
        # Kept while a client takes its time; images are three times as large.
        rows = [(t.id, t.rev or "", to_json(t), t.final) for t in found.tasks]
        return rows, found.next

    async def _finals(self, session: Session, read: Read) -> None:
        ids: Sequence[str] = read.sub.wish.filter.ids or ()
        async with self._turns:
            tasks = await self._store.tasks(ids)
        if session.wanted(read):
            final = [t for t in tasks if t is not None and t.final]
            session.finals(read, [(t.id, t.rev or "0-0") for t in final])
