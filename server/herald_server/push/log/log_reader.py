"""Reader of the change log, one per process: passes its entries to the hub.

Entry numbers must be consecutive. Otherwise entries were trimmed or history was
replaced, and all subscriptions restart from the end of the log.
"""

from __future__ import annotations

import asyncio
import logging
import time

from herald_core.errors import StoreError
from herald_core.model.changes import GAP, Change
from herald_core.model.cursor import START, Cursor
from herald_core.store.ports import Store
from herald_core.system.backoff import Backoff
from herald_server.push.log.hub import COUNTS, Hub

log = logging.getLogger(__name__)

STALE_AFTER_S = 3.0
"""Seconds without an entry, heartbeats included, after which data may be outdated: a
monitor appends at least one a second."""

FIRST_PAUSE = 0.05
LONGEST_PAUSE = 1.0
"""Seconds between tries to read while the store does not answer."""

STORE_SILENT = "the store does not answer"

READ_WAIT_S = 1.5
OVERDUE_AFTER_S = 3.0
"""Seconds that a read waits for entries, which is longer than a monitor is silent, and
after which the store is said not to answer."""

COUNT_INTERVAL_S = 0.5


class LogReader:
    """Reads the log of `store` and publishes its entries to `hub`.

    `alive_at` is when the last entry arrived, and `answered_at` when the store last
    answered at all (`time.monotonic()`); `problem` is an error message while it does
    not.
    """

    def __init__(self, store: Store, hub: Hub) -> None:
        self._store = store
        self._hub = hub
        self._counts: dict[str, int] = {}
        self._recount = asyncio.Event()
        self._waiting: set[asyncio.Event] = set()
        """Set when the position moves without an entry, for each call of `wait_for`."""
        self._count_lock = asyncio.Lock()
        self.alive_at = 0.0
        self.answered_at = 0.0
        self.problem = ""
        self._asked_at: float | None = None
        """When the read began that is under way."""
        self.gaps_changed = asyncio.Event()
        self.resets = 0

    @property
    def is_stale(self) -> bool:
        """Whether no entry has arrived for `STALE_AFTER_S` seconds."""
        return time.monotonic() - self.alive_at > STALE_AFTER_S

    def check_overdue(self) -> None:
        """Set `problem` if the answer to a read is overdue.

        A frozen store refuses nothing, and a read times out long after that.
        """
        asked_at = self._asked_at
        if asked_at is not None and time.monotonic() - asked_at > OVERDUE_AFTER_S:
            self.problem = self.problem or STORE_SILENT

    async def start(self) -> None:
        """Start from the current end of the log. Raises `StoreError`."""
        # Existing subscribers have received nothing yet, and read again.
        self._move_to(await self._store.read_end(), "new")

    async def run(self) -> None:
        """Read until cancelled; retry while the store does not respond."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._read_loop())
            tasks.create_task(self._count_loop())

    async def _read_loop(self) -> None:
        backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE)
        while True:
            try:
                await self._read_entries()
            except StoreError as error:
                self._asked_at = None
                if self.problem in ("", STORE_SILENT):
                    log.warning("%s; trying again", error)
                self.problem = str(error)
                await asyncio.sleep(backoff.next_pause())
            else:
                self.problem = ""
                backoff.reset()

    async def _read_entries(self) -> None:
        self._asked_at = time.monotonic()
        entries = await self._store.read_entries(
            self._hub.pos, wait=READ_WAIT_S, limit=200
        )
        self.answered_at = time.monotonic()
        if not entries:
            await self.check()
        for entry in entries:
            pos = self._hub.pos
            if not entry.cursor.is_next_after(pos):
                reason = "trimmed" if entry.cursor.epoch == pos.epoch else "epoch"
                await self._reset(reason)
                break
            self._hub.publish(entry)
            if entry.changes:
                self._recount.set()
            if any(change.kind == GAP for change in entry.changes):
                self.gaps_changed.set()
        self._asked_at = None
        if entries:
            self.alive_at = time.monotonic()
            # Let connections send between two full reads.
            await asyncio.sleep(0)

    async def check(self) -> None:
        """Reset if the log ends before the position that was read: history was lost."""
        before = self._hub.pos
        # The end first: the position may advance during the request.
        end = await self._store.read_end()
        if end < before and self._hub.pos == before:
            self._resume_at(end, "epoch")

    async def _reset(self, reason: str) -> None:
        self._resume_at(await self._store.read_end(), reason)

    def _resume_at(self, end: Cursor, reason: str) -> None:
        before = self._hub.pos
        self._move_to(end, reason)
        self._recount.set()
        self.gaps_changed.set()
        # The first entry ever is not a break: nothing can have been missed.
        if before != START:
            self.resets += 1
            log.warning(
                "the log broke off at %s (%s); going on from %s", before, reason, end
            )

    def _move_to(self, pos: Cursor, reason: str) -> None:
        self._hub.reset(pos, reason)
        for moved in self._waiting:
            moved.set()

    async def wait_for(self, cursor: Cursor, within: float) -> bool:
        """Wait until the log was read up to `cursor`; return False on timeout."""
        moved = asyncio.Event()
        self._waiting.add(moved)
        stop = self._hub.add_listener(lambda entry: moved.set())
        try:
            async with asyncio.timeout(within):
                while self._hub.pos < cursor:
                    await moved.wait()
                    moved.clear()
        except TimeoutError:
            return False
        finally:
            stop()
            self._waiting.discard(moved)
        return True

    async def read_counts(self) -> list[Change]:
        """Return the number of tasks in each state, as changes of the topic counts.

        Subscribers of counts receive the differences too, so that all have the same
        base.
        """
        await self._publish_counts()
        return [
            self._count_change(state, n) for state, n in sorted(self._counts.items())
        ]

    async def _count_loop(self) -> None:
        """Publish changed counts to their subscribers, at most twice a second."""
        while True:
            await self._recount.wait()
            self._recount.clear()
            if self._hub.has_subscribers(COUNTS):
                try:
                    await self._publish_counts()
                except StoreError:
                    self._recount.set()  # told again once the store answers
            await asyncio.sleep(COUNT_INTERVAL_S)

    async def _publish_counts(self) -> None:
        async with self._count_lock:
            now = await self._store.count_by_state()
            before, self._counts = self._counts, now
        states = sorted(before.keys() | now.keys())
        changed = [
            self._count_change(s, now.get(s, 0))
            for s in states
            if now.get(s) != before.get(s)
        ]
        for watcher in self._hub.offer(changed):
            watcher.wake()

    def _count_change(self, state: str, count: int) -> Change:
        pos = self._hub.pos
        json = b'{"id":"%b","count":%d}' % (state.encode(), count)
        # Counted at this moment, so newer than whatever was counted before.
        return Change(COUNTS, state, str(pos), (pos, time.monotonic_ns()), json)
