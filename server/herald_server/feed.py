"""One reader of the log per process: the log's entries → the hub.

Numbers must follow each other. Where they do not, changes were trimmed away or
history was replaced, and everybody starts over from the end of the log.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time

from herald_monitor.errors import StoreError
from herald_monitor.model.changes import GAP, Change
from herald_monitor.model.cursor import START, Cursor
from herald_monitor.store import Store
from herald_server.hub import COUNTS, Hub

log = logging.getLogger(__name__)

STALE_AFTER = 3.0
"""Seconds without an entry, heartbeats included, after which what is shown may
be outdated: a monitor appends at least one a second."""

WAIT = 1.0
COUNT_EVERY = 0.5


class Feed:
    """Reads the log of `store` and tells `hub`.

    `alive_at` is when the last entry came (`time.monotonic()`), `problem` a
    sentence while the store does not answer.
    """

    def __init__(self, store: Store, hub: Hub) -> None:
        self._store = store
        self._hub = hub
        self._counts: dict[str, int] = {}
        self._recount = asyncio.Event()
        self._counting = asyncio.Lock()
        self._moved = asyncio.Condition()
        self.alive_at = 0.0
        self.problem = ""
        self.gaps_changed = asyncio.Event()
        self.resets = 0

    @property
    def stale(self) -> bool:
        """Whether no monitor has moved the log for `STALE_AFTER` seconds."""
        return time.monotonic() - self.alive_at > STALE_AFTER

    async def start(self) -> None:
        """Take the end of the log as the place to go on from. Raises `StoreError`."""
        # Whoever watches already was offered nothing yet, and reads anew.
        self._hub.start_over(await self._store.end(), "new")

    async def run(self) -> None:
        """Read until cancelled; a store that does not answer is asked again."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._read())
            tasks.create_task(self._count())

    async def _read(self) -> None:
        pause = 0.05
        while True:
            try:
                await self._step()
            except StoreError as error:
                if not self.problem:
                    log.warning("%s; trying again", error)
                self.problem = str(error)
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))
                pause = min(pause * 2, 1.0)
            else:
                self.problem, pause = "", 0.05

    async def _step(self) -> None:
        entries = await self._store.read(self._hub.pos, wait=WAIT, most=200)
        if not entries:
            await self.check()
        for entry in entries:
            pos = self._hub.pos
            if not entry.cursor.follows(pos):
                reason = "trimmed" if entry.cursor.epoch == pos.epoch else "epoch"
                await self._start_over(reason)
                break
            self._hub.publish(entry)
            self._note(entry.changes)
        if entries:
            self.alive_at = time.monotonic()
            await self._announce()
            # Let watchers send between two full reads.
            await asyncio.sleep(0)

    def _note(self, changes: tuple[Change, ...]) -> None:
        if changes:
            self._recount.set()
        if any(change.kind == GAP for change in changes):
            self.gaps_changed.set()

    async def check(self) -> None:
        """Start over if the log ends before what was read of it: history was lost."""
        before = self._hub.pos
        # The end first: the position may move on while it is asked for.
        end = await self._store.end()
        if end < before and self._hub.pos == before:
            self._go_on(end, "epoch")

    async def _start_over(self, reason: str) -> None:
        self._go_on(await self._store.end(), reason)

    def _go_on(self, end: Cursor, reason: str) -> None:
        before = self._hub.pos
        self._hub.start_over(end, reason)
        self._recount.set()
        self.gaps_changed.set()
        # The first entry ever is no break: nobody can have missed a thing.
        if before != START:
            self.resets += 1
            log.warning(
                "the log broke off at %s (%s); going on from %s", before, reason, end
            )

    async def _announce(self) -> None:
        async with self._moved:
            self._moved.notify_all()

    async def reached(self, cursor: Cursor, within: float) -> bool:
        """Wait until the log was read up to `cursor`; say whether it was."""
        try:
            async with asyncio.timeout(within), self._moved:
                await self._moved.wait_for(lambda: self._hub.pos >= cursor)
        except TimeoutError:
            return False
        return True

    async def counts(self) -> list[Change]:
        """Return the number of tasks in each state, as changes of the topic counts.

        Whoever watches counts already is told of them as well: what is told to
        all stays the same, and what differs from it is told later.
        """
        await self._tell_counts()
        return [self._counted(state, n) for state, n in sorted(self._counts.items())]

    async def _count(self) -> None:
        """Tell watchers of counts what became different, at most twice a second."""
        while True:
            await self._recount.wait()
            self._recount.clear()
            if self._hub.watched(COUNTS):
                try:
                    await self._tell_counts()
                except StoreError:
                    self._recount.set()  # told again once the store answers
            await asyncio.sleep(COUNT_EVERY)

    async def _tell_counts(self) -> None:
        async with self._counting:
            now = await self._store.counts()
            before, self._counts = self._counts, now
        states = sorted(before.keys() | now.keys())
        changed = [
            self._counted(s, now.get(s, 0))
            for s in states
            if now.get(s) != before.get(s)
        ]
        for watcher in self._hub.offer(changed):
            watcher.wake()

    def _counted(self, state: str, count: int) -> Change:
        pos = self._hub.pos
        json = b'{"id":"%b","count":%d}' % (state.encode(), count)
        # Counted at this moment, so newer than whatever was counted before.
        return Change(COUNTS, state, str(pos), (pos, time.monotonic_ns()), json)
