"""The change logs of all partitions as one log whose cursors are vectors."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import islice

from herald_core.errors import StoreError
from herald_core.model.changes import LogEntry
from herald_core.model.cursor import START, Cursor
from herald_core.model.vector_cursor import PartitionCursor, VectorCursor, to_vector
from herald_core.store.ports import ChangeLog
from herald_core.system.cancellation import cancel_tasks

EntryRun = list[LogEntry]
"""Entries of one partition."""


class PartitionedLog:
    """The `ChangeLog` port over the logs of `parts`.

    The order of entries of different partitions is that in which they are met: only
    changes of one task have an order, and a task is in one partition.
    """

    def __init__(self, parts: Sequence[ChangeLog]) -> None:
        self._logs = parts
        self._reading: dict[tuple[int, Cursor], asyncio.Task[EntryRun]] = {}
        """Reads that wait for more, by partition and place: a read that is given up
        costs its connection, so the next one goes on with it."""
        self._error: StoreError | None = None

    async def read_end(self) -> VectorCursor:
        return VectorCursor(
            await asyncio.gather(*(part.read_end() for part in self._logs))
        )

    async def read_history_id(self) -> str:
        found = await asyncio.gather(*(part.read_history_id() for part in self._logs))
        return " ".join(found)

    async def read_entries(
        self,
        after: Cursor,
        *,
        wait: float = 0.0,
        limit: int = 100,
        until: Cursor | None = None,
    ) -> list[LogEntry]:
        at = to_vector(after, len(self._logs))
        if at is None:
            # The cursor has another number of partitions: the first entry has another
            # epoch.
            at = VectorCursor([START] * len(self._logs))
        if wait > 0:
            return self._merge_runs(
                at, await self._wait_for_runs(at, wait, limit), limit
            )
        last = None if until is None else to_vector(until, len(self._logs))
        reads = [
            part.read_entries(at.parts[i], limit=limit, until=last and last.parts[i])
            for i, part in enumerate(self._logs)
        ]
        return self._merge_runs(at, await asyncio.gather(*reads), limit)

    def _merge_runs(
        self, at: VectorCursor, runs: Sequence[EntryRun], limit: int
    ) -> EntryRun:
        """Return `limit` entries of the runs, each with the vector after it."""
        joined: EntryRun = []
        for entry in islice((entry for run in runs for entry in run), limit):
            place = entry.cursor
            assert isinstance(place, PartitionCursor)
            at = at.advance(place.part, place)
            joined.append(LogEntry(at, entry.changes))
        return joined

    # -- waiting for more ------------------------------------------------------------

    async def _wait_for_runs(
        self, at: VectorCursor, wait: float, limit: int
    ) -> list[EntryRun]:
        """Return the first entries of any partition. Raises `StoreError`.

        A partition that does not answer delays no other. The entries of the others are
        returned, and its error is raised by the next call.
        """
        error, self._error = self._error, None
        if error is not None:
            raise error
        reads = {
            self._start_read(i, at.parts[i], wait, limit): i
            for i in self._list_partitions()
        }
        done, _ = await asyncio.wait(
            reads, timeout=wait, return_when=asyncio.FIRST_COMPLETED
        )
        runs: list[EntryRun] = []
        for task in done:
            self._reading.pop((reads[task], at.parts[reads[task]]), None)
            failed = task.exception()
            if isinstance(failed, StoreError):
                self._error = failed
            else:
                runs.append(task.result())
        if self._error is not None and not any(runs):
            error, self._error = self._error, None
            raise error
        return runs

    def _list_partitions(self) -> range:
        return range(len(self._logs))

    def _start_read(
        self, i: int, at: Cursor, wait: float, limit: int
    ) -> asyncio.Task[EntryRun]:
        """Return the pending or new read of partition `i` after `at`."""
        if (i, at) not in self._reading:
            self._discard_stale_reads()
            reading = self._logs[i].read_entries(at, wait=wait, limit=limit)
            self._reading[i, at] = asyncio.create_task(reading)
        return self._reading[i, at]

    def _discard_stale_reads(self) -> None:
        """Cancel reads that no caller awaits any more, after a loss of history."""
        over = [key for key, task in self._reading.items() if task.done()]
        for key in over:
            task = self._reading.pop(key)
            # Retrieve the result, or asyncio reports an error that was never retrieved.
            _ = task.cancelled() or task.exception()

    async def stop_reading(self) -> None:
        """Give up the reads that wait."""
        reading = list(self._reading.values())
        self._reading.clear()
        await cancel_tasks(*reading)
