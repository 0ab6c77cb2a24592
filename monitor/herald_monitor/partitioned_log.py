"""The logs of all partitions as one log whose cursors are vectors."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import islice

from herald_monitor.errors import StoreError
from herald_monitor.model.changes import Entry
from herald_monitor.model.cursor import START, Cursor
from herald_monitor.model.vector import Component, Vector, vector_of
from herald_monitor.store import Log

Run = list[Entry]
"""Entries of one partition."""


class PartitionedLog:
    """The `Log` port over the logs of `parts`.

    The order of entries of different partitions is that in which they are met: only
    changes of one task have an order, and a task is in one partition.
    """

    def __init__(self, parts: Sequence[Log]) -> None:
        self._logs = parts
        self._reading: dict[tuple[int, Cursor], asyncio.Task[Run]] = {}
        """Reads that wait for more, by partition and place: a read that is given up
        costs its connection, so the next one goes on with it."""
        self._error: StoreError | None = None

    async def end(self) -> Vector:
        return Vector(await asyncio.gather(*(part.end() for part in self._logs)))

    async def identity(self) -> str:
        found = await asyncio.gather(*(part.identity() for part in self._logs))
        return " ".join(found)

    async def read(
        self,
        after: Cursor,
        *,
        wait: float = 0.0,
        most: int = 100,
        until: Cursor | None = None,
    ) -> list[Entry]:
        at = vector_of(after, len(self._logs))
        if at is None:
            # Of another number of partitions: the first entry tells of another epoch.
            at = Vector([START] * len(self._logs))
        if wait > 0:
            return self._joined(at, await self._come(at, wait, most), most)
        last = None if until is None else vector_of(until, len(self._logs))
        asked = [
            part.read(at.parts[i], most=most, until=last and last.parts[i])
            for i, part in enumerate(self._logs)
        ]
        return self._joined(at, await asyncio.gather(*asked), most)

    def _joined(self, at: Vector, runs: Sequence[Run], most: int) -> Run:
        """Return `most` entries of the runs, each with the vector behind it."""
        joined: Run = []
        for entry in islice((entry for run in runs for entry in run), most):
            place = entry.cursor
            assert isinstance(place, Component)
            at = at.at(place.part, place)
            joined.append(Entry(at, entry.changes))
        return joined

    # -- waiting for more ------------------------------------------------------------

    async def _come(self, at: Vector, wait: float, most: int) -> list[Run]:
        """Return what comes first, of whichever partitions. Raises `StoreError`.

        One that does not answer holds nobody up: what others have is returned, and
        its error is raised by the next call.
        """
        error, self._error = self._error, None
        if error is not None:
            raise error
        asked = {self._asked(i, at.parts[i], wait, most): i for i in self._numbers()}
        done, _ = await asyncio.wait(
            asked, timeout=wait, return_when=asyncio.FIRST_COMPLETED
        )
        runs: list[Run] = []
        for task in done:
            self._reading.pop((asked[task], at.parts[asked[task]]), None)
            failed = task.exception()
            if isinstance(failed, StoreError):
                self._error = failed
            else:
                runs.append(task.result())
        if self._error is not None and not any(runs):
            error, self._error = self._error, None
            raise error
        return runs

    def _numbers(self) -> range:
        return range(len(self._logs))

    def _asked(self, i: int, at: Cursor, wait: float, most: int) -> asyncio.Task[Run]:
        """Return the read of partition `i` behind `at`, begun already or now."""
        if (i, at) not in self._reading:
            self._tidy()
            reading = self._logs[i].read(at, wait=wait, most=most)
            self._reading[i, at] = asyncio.create_task(reading)
        return self._reading[i, at]

    def _tidy(self) -> None:
        """Forget reads that nobody came back for: history was lost meanwhile."""
        over = [key for key, task in self._reading.items() if task.done()]
        for key in over:
            task = self._reading.pop(key)
            # Looked at, or asyncio complains of an error that nobody saw.
            _ = task.cancelled() or task.exception()

    async def stop_reading(self) -> None:
        """Give up the reads that wait."""
        reading = list(self._reading.values())
        self._reading.clear()
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)
