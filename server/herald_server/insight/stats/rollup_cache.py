"""Cache of the last day's rollups, refreshed on demand: charts need all of them."""

from __future__ import annotations

import asyncio
import time

import msgspec

from herald_core.model.rollups.rollup import MINUTE_S, Rollup, merge_rollups
from herald_core.store.ports import TaskReader
from herald_server.auth.scoped_store import forbid_scoped, get_unscoped

DAY_S = 86_400.0

TTL_S = 2.0
"""Seconds for which what was read is taken as it is."""

LATE_WINDOW_S = 5 * 60.0
"""Seconds before now that are read again each time: some words come late."""

REFRESH_INTERVAL_S = 300.0
"""Seconds after which the whole day is read again: some come very late."""

SLICE_S = 3_600.0
"""Seconds of minutes that are read or summed up before others have a turn."""


class DayRollup(msgspec.Struct, frozen=True):
    """The rollups of a day in two sums: `before` a time, and from then on."""

    before: Rollup
    recent: Rollup

    @property
    def whole(self) -> Rollup:
        """Sum of both."""
        return merge_rollups((self.before, self.recent))


class RollupCache:
    """Rollups of each minute: of all tasks, of names and of queues.

    They count all tasks: not for task-scoped tokens. A call reads the newest
    `LATE_WINDOW_S` seconds; older minutes are summed up once in `REFRESH_INTERVAL_S`
    seconds.
    """

    def __init__(self, reader: TaskReader) -> None:
        self._reader: TaskReader = get_unscoped(reader)
        self._rollups: dict[int, Rollup] = {}
        self._older_sum = Rollup(at=0)
        """The sum of all minutes before `_old_until`."""
        self._old_until = 0.0
        self._read_at = 0.0
        self._refresh_at = 0.0
        self._lock = asyncio.Lock()

    async def read_last(self, seconds: float, now: float) -> list[Rollup]:
        """Return the rollups of the last `seconds` (a day at most), oldest first.

        `now` is in unix seconds. Raises `StoreError`.
        """
        forbid_scoped("counting minutes")
        async with self._lock:
            await self._refresh(now)
        return self._list_from((now - min(seconds, DAY_S)) // MINUTE_S * MINUTE_S)

    async def read_day(self, lately: float, now: float) -> DayRollup:
        """Return the day, with the last `lately` seconds (at most `LATE_WINDOW_S`)
        separate.

        Raises `StoreError`.
        """
        forbid_scoped("counting minutes")
        async with self._lock:
            await self._refresh(now)
        split = (now - min(lately, LATE_WINDOW_S)) // MINUTE_S * MINUTE_S
        new = self._list_from(self._old_until)
        before = merge_rollups(
            (self._older_sum, *(one for one in new if one.at < split))
        )
        return DayRollup(before, merge_rollups(one for one in new if one.at >= split))

    def _list_from(self, first: float) -> list[Rollup]:
        return [self._rollups[at] for at in sorted(self._rollups) if at >= first]

    async def _refresh(self, now: float) -> None:
        at = time.monotonic()
        if self._read_at and at - self._read_at < TTL_S:
            return
        anew = not self._refresh_at or at - self._refresh_at >= REFRESH_INTERVAL_S
        since = now - (DAY_S if anew else LATE_WINDOW_S + (at - self._read_at))
        read = await self._read(since, now + MINUTE_S)
        first = since // MINUTE_S * MINUTE_S
        kept = {m: one for m, one in self._rollups.items() if now - DAY_S < m < first}
        self._rollups = kept | {one.at: one for one in read}
        if anew:
            await self._sum_up((now - LATE_WINDOW_S) // MINUTE_S * MINUTE_S)
            self._refresh_at = at
        self._read_at = at

    async def _read(self, since: float, until: float) -> list[Rollup]:
        found: list[Rollup] = []
        while since < until:
            part = min(since // MINUTE_S * MINUTE_S + SLICE_S, until)
            found += await self._reader.read_rollups(since, part, parts=True)
            since = part
        return found

    async def _sum_up(self, until: float) -> None:
        """Sum up what is older than `until`, in slices."""
        minutes = [one for one in self._list_from(0) if one.at < until]
        step, old = round(SLICE_S / MINUTE_S), Rollup(at=0)
        for start in range(0, len(minutes), step):
            old = merge_rollups((old, *minutes[start : start + step]))
            await asyncio.sleep(0)
        self._older_sum, self._old_until = old, until
