"""The minutes of the last day, read once and kept up: charts ask for all of them."""

from __future__ import annotations

import asyncio
import time

import msgspec

from herald_monitor.model.rollups import MINUTE, Rollup, summed
from herald_monitor.store import Reader
from herald_server.seen import for_all, whole

DAY = 86_400.0

FRESH = 2.0
"""Seconds for which what was read is taken as it is."""

LATE = 5 * 60.0
"""Seconds before now that are read again each time: some words come late."""

ANEW = 300.0
"""Seconds after which the whole day is read again: some come very late."""

SLICE = 3_600.0
"""Seconds of minutes that are read or summed up before others have a turn."""


class Day(msgspec.Struct, frozen=True):
    """The day as two sums: `before` some time, and from then on."""

    before: Rollup
    lately: Rollup

    @property
    def whole(self) -> Rollup:
        """The sum of both."""
        return summed((self.before, self.lately))


class Minutes:
    """What happened in each minute, of all tasks together, of names and of queues.

    They tell of all tasks: not for narrow tokens. An answer reads the newest `LATE`
    seconds of minutes; adding up the rest is done once for `ANEW` seconds.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader: Reader = whole(reader)
        self._kept: dict[int, Rollup] = {}
        self._old = Rollup(at=0)
        """The sum of all minutes before `_old_until`."""
        self._old_until = 0.0
        self._read_at = 0.0
        self._anew_at = 0.0
        self._alone = asyncio.Lock()

    async def since(self, seconds: float, now: float) -> list[Rollup]:
        """Return the minutes of the last `seconds` (a day at most), oldest first.

        `now` is in unix seconds. Raises `StoreError`.
        """
        for_all("counting minutes")
        async with self._alone:
            await self._keep_up(now)
        return self._from((now - min(seconds, DAY)) // MINUTE * MINUTE)

    async def day(self, lately: float, now: float) -> Day:
        """Return the day, of which the last `lately` seconds (at most `LATE`) apart.

        Raises `StoreError`.
        """
        for_all("counting minutes")
        async with self._alone:
            await self._keep_up(now)
        split = (now - min(lately, LATE)) // MINUTE * MINUTE
        new = self._from(self._old_until)
        before = summed((self._old, *(one for one in new if one.at < split)))
        return Day(before, summed(one for one in new if one.at >= split))

    def _from(self, first: float) -> list[Rollup]:
        return [self._kept[at] for at in sorted(self._kept) if at >= first]

    async def _keep_up(self, now: float) -> None:
        at = time.monotonic()
        if self._read_at and at - self._read_at < FRESH:
            return
        anew = not self._anew_at or at - self._anew_at >= ANEW
        since = now - (DAY if anew else LATE + (at - self._read_at))
        read = await self._read(since, now + MINUTE)
        first = since // MINUTE * MINUTE
        kept = {m: one for m, one in self._kept.items() if now - DAY < m < first}
        self._kept = kept | {one.at: one for one in read}
        if anew:
            await self._sum_up((now - LATE) // MINUTE * MINUTE)
            self._anew_at = at
        self._read_at = at

    async def _read(self, since: float, until: float) -> list[Rollup]:
        found: list[Rollup] = []
        while since < until:
            part = min(since // MINUTE * MINUTE + SLICE, until)
            found += await self._reader.rollups(since, part, parts=True)
            since = part
        return found

    async def _sum_up(self, until: float) -> None:
        """Add up what is older than `until`, in slices."""
        minutes = [one for one in self._from(0) if one.at < until]
        step, old = round(SLICE / MINUTE), Rollup(at=0)
        for start in range(0, len(minutes), step):
            old = summed((old, *minutes[start : start + step]))
            await asyncio.sleep(0)
        self._old, self._old_until = old, until
