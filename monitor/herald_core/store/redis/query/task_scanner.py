"""A scan through the records of a filter, newest first, for texts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from typing import NamedTuple

from herald_core.model.changes import TASK
from herald_core.model.filters import Filter
from herald_core.model.queries.needles import Needle
from herald_core.model.tasks.views import TaskView
from herald_core.store.page_tokens import encode_token
from herald_core.store.redis.bitmaps import CHUNK_BITS, SEGMENT_BITS, list_set_bits
from herald_core.store.redis.connection.client import RedisClient
from herald_core.store.redis.connection.pool import Reply, Word
from herald_core.store.redis.encoding.record_codec import read_number
from herald_core.store.redis.encoding.stored_records import decode_view_with_header
from herald_core.store.redis.keys import RedisKeys
from herald_core.store.redis.query.index_scan import IndexScan, TimeRange
from herald_core.store.redis.query.number_reader import list_id_commands, select_ids
from herald_core.store.redis.query.store_budget import StoreBudget
from herald_core.store.redis.query.text_matcher import TextMatcher
from herald_core.store.redis.record_reader import join_records, list_commands
from herald_core.store.types import ScanStep
from herald_core.system.cancellation import cancel_tasks
from herald_core.system.cooperative_work import TimeSlices

FIRST_BATCH = 128
MAX_BATCH = 512
"""Records that are read at once: some 0.3 ms of the server's time."""


class RecordBatch(NamedTuple):
    """The stored records of `numbers`, which are newest first; `records` may not be."""

    numbers: Sequence[int]
    records: Sequence[bytes]


class TaskScanner:
    """Reads and searches records. All scans of a store share one, and its budget."""

    def __init__(self, client: RedisClient, keys: RedisKeys) -> None:
        self._client = client
        self._prefix = keys.make_record(TASK, "").encode()
        self._keys = keys
        self._budget = StoreBudget()

    async def scan(
        self,
        scan: IndexScan,
        filter_: Filter,
        range_: TimeRange,
        needles: Sequence[Needle],
        accept: Callable[[TaskView], bool],
        limit: int,
        max_searched: int,
    ) -> ScanStep:
        """Return one step through the tasks of `scan`."""
        matcher, slices = TextMatcher(needles), TimeSlices()
        tasks: list[TaskView] = []
        searched = 0
        first = FIRST_BATCH
        if matcher.selects_all:
            first = min(FIRST_BATCH, limit)  # each record is decoded
        elif scan.continues:
            first = MAX_BATCH
        parts = _iter_parts(scan, first, max_searched)
        async with aclosing(self._iter_batches(parts)) as batches:
            async for batch in batches:
                for number, stored in _select(batch, matcher):
                    task = _decode(stored, range_)
                    if task and filter_.matches(task) and accept(task):
                        tasks.append(task)
                        if len(tasks) >= limit:
                            searched += batch.numbers.index(number) + 1
                            token = encode_token(number)
                            return ScanStep(tuple(tasks), searched, token)
                    await slices.yield_if_due()
                searched += len(batch.numbers)
                if searched >= max_searched:
                    last = batch.numbers[-1]
                    return ScanStep(tuple(tasks), searched, encode_token(last))
                await slices.yield_if_due()
        return ScanStep(tuple(tasks), searched)

    async def _iter_batches(
        self, parts: AsyncIterator[Sequence[int]]
    ) -> AsyncGenerator[RecordBatch]:
        """Yield the records of `parts`; the store reads those of the next part while
        these are searched."""
        first = await anext(parts, None)
        if first is None:
            return
        # What follows is often not needed: a page is found in the first part.
        yield await self._read(first)
        reading: asyncio.Task[RecordBatch] | None = None
        try:
            async for numbers in parts:
                batch = None if reading is None else await reading
                reading = asyncio.create_task(self._read(numbers))
                if batch is not None:
                    yield batch
            if reading is not None:
                yield await reading
        finally:
            if reading is not None:
                await cancel_tasks(reading)

    async def _read(self, numbers: Sequence[int]) -> RecordBatch:
        places, commands = list_id_commands(self._keys, numbers, numbered=False)
        ids = select_ids(places, await self._measure(commands))
        commands = list_commands([self._prefix + id_ for id_ in ids])
        stored = join_records(await self._measure(commands))
        return RecordBatch(numbers, [one for one in stored if one is not None])

    async def _measure(self, commands: Sequence[Sequence[Word]]) -> list[Reply]:
        """Send `commands` once the budget allows; measure the server's time by its
        own clock."""
        delay_s = self._budget.compute_delay_s(time.monotonic())
        if delay_s > 0:
            await asyncio.sleep(delay_s)
        begun, *replies, ended = await self._client.execute_many(
            [("TIME",), *commands, ("TIME",)]
        )
        self._budget.charge(max(_read_seconds(ended) - _read_seconds(begun), 0.0))
        return replies


async def _iter_parts(
    scan: IndexScan, first_size: int, max_searched: int
) -> AsyncGenerator[list[int]]:
    """Yield the numbers of the tasks of `scan`, newest first, some at a time.

    A segment is not split, if it is not larger than `first_size`. No more parts are
    yielded than have `max_searched` together.
    """
    size = first_size
    async for chunk, mask in scan.iter_masks():
        numbers = [chunk * CHUNK_BITS + place for place in list_set_bits(mask)]
        begin = 0
        while begin < len(numbers):
            end = _find_end(numbers, begin, size)
            yield numbers[begin:end]
            max_searched -= end - begin
            if max_searched <= 0:
                return
            begin, size = end, min(2 * size, MAX_BATCH)


def _find_end(numbers: Sequence[int], begin: int, size: int) -> int:
    """Return the place behind `size` of `numbers`, and the rest of the last segment."""
    end = min(begin + size, len(numbers))
    if size >= SEGMENT_BITS:
        segment = numbers[end - 1] // SEGMENT_BITS
        while end < len(numbers) and numbers[end] // SEGMENT_BITS == segment:
            end += 1
    return end


def _select(batch: RecordBatch, matcher: TextMatcher) -> list[tuple[int, bytes]]:
    """Return the records that have the texts, newest first, each with its number.

    Without those whose number is no longer the one that was looked up: they were
    deleted and arrived again.
    """
    places = matcher.select(batch.records)
    numbers = frozenset(batch.numbers) if places else frozenset[int]()
    found = {read_number(batch.records[n]): batch.records[n] for n in places}
    return sorted(
        ((number, one) for number, one in found.items() if number in numbers),
        reverse=True,
    )


def _decode(stored: bytes, range_: TimeRange) -> TaskView | None:
    """Return the task in `stored`, if it arrived in `range_`."""
    head, task = decode_view_with_header(stored)
    return task if range_.contains(float(head.first_seen_ms)) else None


def _read_seconds(reply: Reply) -> float:
    seconds, microseconds = reply
    return int(seconds) + int(microseconds) / 1e6
