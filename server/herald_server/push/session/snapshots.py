"""Fulfil the read requests of sessions: snapshots and replays."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence

from herald_core.model.changes import QUEUE, TASK, WORKER, LogEntry
from herald_core.model.codec import to_json
from herald_core.model.cursor import Cursor
from herald_core.model.documents import DOCUMENT_KINDS
from herald_core.model.filters import Filter
from herald_core.store.ports import ChangeLog, Store
from herald_server.auth import request_context
from herald_server.auth.quotas.close_codes import STATE_TOO_OLD
from herald_server.auth.quotas.cpu_queue import take_turn_for_caller
from herald_server.push.log.hub import MAX_PENDING_BYTES, Hub
from herald_server.push.log.log_reader import LogReader
from herald_server.push.protocol.limits import Limits
from herald_server.push.session.session import Session
from herald_server.push.session.shared_read import SharedRead
from herald_server.push.session.subscription import ReadRequest, SnapshotRow

PAGE_SIZE = 100
"""Tasks of a snapshot that are read at once: some 6 ms of CPU time."""

MAX_ROWS = 500
"""Entries of the log that are read at once."""

MAX_REPLAY_BYTES = 8 * 1024 * 1024
"""Bytes of images that are replayed to a reconnecting client; beyond them it gets a
snapshot."""

MAX_READS = 2
"""Concurrent reads for sessions: one is decoded while the next is in transit. Reads
that arrive together are decoded together while all else waits. When all clients
reconnect at once the others wait here, where none times out."""

MAX_REPLAYS = 1
"""Concurrent replays from the log: each holds as much as one subscription may, as JSON
and as images, until it is sent."""

TURN_TIMEOUT_S = 2.0
"""Seconds between two chances to send something, while a snapshot waits its turn."""

SNAPSHOT_TIMEOUT_S = 0.5
"""Seconds between two chances while other connections read their snapshots."""

CATCH_UP_TIMEOUT_S = 5.0
"""Seconds for which a client whose cursor is newer than this process waits."""


class SnapshotReader:
    """Reads snapshots and replays for sessions."""

    def __init__(
        self,
        store: Store,
        hub: Hub,
        feed: LogReader,
        limits: Limits | None = None,
        *,
        page: int = PAGE_SIZE,
        catch_up: float = CATCH_UP_TIMEOUT_S,
    ) -> None:
        self._store = store
        self._hub = hub
        self._log_reader = feed
        self._limits = limits or Limits()
        self._page = page
        self._catch_up = catch_up
        self._read_slots = asyncio.Semaphore(MAX_READS)
        self._workers = SharedRead(self._read_workers)
        self._replays = asyncio.Semaphore(MAX_REPLAYS)

    @property
    def log(self) -> ChangeLog:
        """The change log that replays are read from."""
        return self._store

    async def fulfil(self, session: Session, read: ReadRequest) -> AsyncGenerator[None]:
        """Read what `read` requests and pass it to `session`.

        Yields after each step, so that frames are sent before more is read: a slow
        client is read for slowly. Raises `StoreError`.
        """
        # The store restricts by the current caller: both must be the same.
        assert session.task_filter == request_context.get_task_filter(), (
            "this session belongs to another token"
        )
        if read.finals:
            await self._read_finals(session, read)
        elif read.since is not None:
            async for _ in self._replay(session, read, read.since):
                yield
        else:
            async for _ in self._read_snapshot(session, read):
                yield

    # -- replay ------------------------------------------------------------------

    async def _replay(
        self, session: Session, read: ReadRequest, since: Cursor
    ) -> AsyncIterator[None]:
        if since > self._hub.pos and not await self._wait_for_log(since):
            if await self._store.read_end() < since:
                session.restart(read, "epoch")
            else:
                session.close(
                    STATE_TOO_OLD, "this server is behind your cursor; reconnect"
                )
            return
        if since.epoch != self._hub.pos.epoch:
            session.restart(read, "epoch")
            return
        entries = self._hub.list_recent(since, self._hub.pos)
        if entries is not None:
            read.sub.resume(self._hub.pos)
            session.on_replay(read, entries)
            return
        # Waits and sends only here, where it holds no slot that others need.
        while not await take_turn_for_caller(TURN_TIMEOUT_S):
            yield
        async with self._replays:
            if not session.is_current(read):
                return
            read.sub.resume(self._hub.pos)
            entries = await self._read_since(read, since, self._hub.pos)
            if not session.is_current(read):
                return
            if entries is None:
                session.restart(read, "trimmed")
            else:
                session.on_replay(read, entries)

    async def _wait_for_log(self, since: Cursor) -> bool:
        return await self._log_reader.wait_for(since, self._catch_up)

    async def _read_since(
        self, read: ReadRequest, since: Cursor, until: Cursor
    ) -> list[LogEntry] | None:
        """Return the entries after `since` up to `until`; None if any is missing.

        None further: the hub offers what follows `until`. Each entry contains only what
        `read` requests, to save memory.
        """
        entries: list[LogEntry] = []
        at, changes, size, kept = since, 0, 0, 0
        while at < until:
            async with self._read_slots:
                some = await self._store.read_entries(at, limit=MAX_ROWS, until=until)
            for entry in some:
                if not entry.cursor.is_next_after(at):
                    return None
                at = entry.cursor
                changes += len(entry.changes)
                size += sum(len(change.json) for change in entry.changes)
                asked_for = read.sub.select_changes(entry.changes)
                kept += sum(len(change.json) for change in asked_for)
                entries.append(LogEntry(at, asked_for))
                # More would not be kept for this client, see `Subscriber`.
                if changes > self._limits.snapshot or kept > MAX_PENDING_BYTES:
                    return None
            if not some or size > MAX_REPLAY_BYTES:
                return None
        return entries

    # -- snapshot ------------------------------------------------------------------

    async def _read_snapshot(
        self, session: Session, read: ReadRequest
    ) -> AsyncGenerator[None]:
        while not await take_turn_for_caller(TURN_TIMEOUT_S):
            yield
        try:
            while not await session.subscriptions.turn.acquire(SNAPSHOT_TIMEOUT_S):
                yield
            async for _ in self._read_whole(session, read):
                yield
        finally:
            session.subscriptions.turn.release()

    async def _read_whole(
        self, session: Session, read: ReadRequest
    ) -> AsyncGenerator[None]:
        read.sub.resume(self._hub.pos)
        if not await self._check_limit(session, read):
            return
        async with self._read_slots:
            identity = await self._store.read_history_id()
        async for rows in self._iterate_rows(read):
            if not session.is_current(read):
                return
            session.on_page(read, rows)
            yield
            while not await take_turn_for_caller(TURN_TIMEOUT_S):
                yield
        async with self._read_slots:
            before = self._hub.pos
            end = await self._store.read_end()
            # Read last: it covers all that was read before, the end included.
            same = await self._store.read_history_id() == identity
        if end < before:
            # The store lost history that was already sent: all start over.
            await self._log_reader.check()
        if same and end >= before:
            if session.is_current(read):
                session.on_snapshot_end(read, end)
        else:
            # A part of what was read may be inconsistent.
            session.restart(read, "epoch")

    async def _check_limit(self, session: Session, read: ReadRequest) -> bool:
        wish, most = read.sub.request, self._limits.snapshot
        if wish.topic != TASK or (wish.limit is not None and wish.limit <= most):
            return True
        async with self._read_slots:
            found = await self._store.count_tasks(wish.filter, most)
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

    async def _iterate_rows(
        self, read: ReadRequest
    ) -> AsyncIterator[list[SnapshotRow]]:
        wish = read.sub.request
        if wish.topic == TASK:
            async for rows in self._iterate_tasks(read):
                yield rows
        elif wish.topic == WORKER:
            async for rows in self._iterate_pages(read, await self._workers()):
                yield rows
        elif wish.topic == QUEUE:
            queues = await self._store.list_queues()
            yield [(q.id, q.rev or "", to_json(q), False) for q in queues]
        elif wish.topic in DOCUMENT_KINDS:
            async for rows in self._iterate_pages(
                read, await self._read_documents(wish.topic)
            ):
                yield rows
        else:
            yield [
                (c.id, "", c.json, False) for c in await self._log_reader.read_counts()
            ]

    async def _read_workers(self) -> list[SnapshotRow]:
        workers = await self._store.list_workers(now=time.time())
        return [(w.id, w.rev or "", to_json(w), False) for w in workers]

    async def _read_documents(self, kind: str) -> list[SnapshotRow]:
        documents = await self._store.list_documents(kind)
        return [(d.id, d.rev or "", to_json(d.to_view()), False) for d in documents]

    async def _iterate_pages(
        self, read: ReadRequest, rows: list[SnapshotRow]
    ) -> AsyncIterator[list[SnapshotRow]]:
        left = sum(len(json) for _, _, json, _ in rows)
        try:
            for at in range(0, len(rows), self._page):
                page = rows[at : at + self._page]
                left -= sum(len(json) for _, _, json, _ in page)
                read.sub.unsent_bytes = left
                yield page
        finally:
            read.sub.unsent_bytes = 0

    async def _iterate_tasks(
        self, read: ReadRequest
    ) -> AsyncIterator[list[SnapshotRow]]:
        left = read.sub.request.limit
        page: str | None = None
        while left is None or left > 0:
            some = self._page if left is None else min(self._page, left)
            rows, page = await self._read_page(read.sub.request.filter, some, page)
            if left is not None:
                left -= len(rows)
            yield rows
            if page is None:
                return

    async def _read_page(
        self, filter_: Filter, most: int, page: str | None
    ) -> tuple[list[SnapshotRow], str | None]:
        """Return the rows of a page, and the next page's name."""
        async with self._read_slots:
            found = await self._store.list_tasks(filter_, limit=most, page=page)
        # Kept while a client reads slowly; images are three times as large.
        rows = [(t.id, t.rev or "", to_json(t), t.final) for t in found.tasks]
        return rows, found.next

    async def _read_finals(self, session: Session, read: ReadRequest) -> None:
        ids: Sequence[str] = read.sub.request.filter.ids or ()
        async with self._read_slots:
            tasks = await self._store.get_tasks(ids)
        if session.is_current(read):
            final = [t for t in tasks if t is not None and t.final]
            session.on_final_ids(read, [(t.id, t.rev or "0-0") for t in final])
