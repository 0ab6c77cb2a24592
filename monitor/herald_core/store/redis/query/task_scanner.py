"""A scan through the records of a filter, newest first, for texts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence

from herald_core.model.changes import TASK
from herald_core.model.filters import Filter
from herald_core.model.queries.needles import Needle
from herald_core.model.tasks.views import TaskView
from herald_core.store.page_tokens import encode_token
from herald_core.store.redis.bitmaps import CHUNK_BITS, list_set_bits
from herald_core.store.redis.connection.client import RedisClient
from herald_core.store.redis.connection.pool import Reply, Word
from herald_core.store.redis.encoding.stored_records import decode_view_with_header
from herald_core.store.redis.keys import RedisKeys
from herald_core.store.redis.query.index_scan import IndexScan, TimeRange
from herald_core.store.redis.query.number_reader import decode_ids, list_id_commands
from herald_core.store.redis.query.store_budget import StoreBudget
from herald_core.store.redis.query.text_matcher import TextMatcher
from herald_core.store.types import ScanStep
from herald_core.system.cooperative_work import TimeSlices

FIRST_BATCH = 128
MAX_BATCH = 512
"""Records that are read at once: some 0.3 ms of the server's time."""


class TaskScanner:
    """Reads and searches records. All scans of a store share one, and its budget."""

    def __init__(self, client: RedisClient, keys: RedisKeys) -> None:
        self._client = client
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
        async for numbers in _iter_batches(scan, limit, matcher.selects_all):
            last = numbers[-1]
            for place, number, stored in await self._select(numbers, matcher):
                task = _decode(number, stored, range_)
                if task and filter_.matches(task) and accept(task):
                    tasks.append(task)
                    if len(tasks) >= limit:
                        searched, last = searched + place + 1, number
                        return ScanStep(tuple(tasks), searched, encode_token(last))
                await slices.yield_if_due()
            searched += len(numbers)
            await slices.yield_if_due()
            if searched >= max_searched:
                return ScanStep(tuple(tasks), searched, encode_token(last))
        return ScanStep(tuple(tasks), searched)

    async def _select(
        self, numbers: Sequence[int], matcher: TextMatcher
    ) -> list[tuple[int, int, bytes]]:
        """Return the records of `numbers` that have the texts.

        Each comes with its place in `numbers` and its number.
        """
        ids = await self._read_ids(numbers)
        if not ids:
            return []
        prefix = self._keys.make_record(TASK, "").encode()
        [stored] = await self._measure([("MGET", *[prefix + id_ for _, id_ in ids])])
        known = [
            (number, one)
            for (number, _), one in zip(ids, stored, strict=True)
            if one is not None
        ]
        selected = matcher.select([one for _, one in known])
        places = {number: place for place, number in enumerate(numbers)}
        return [(places[known[n][0]], *known[n]) for n in selected]

    async def _read_ids(self, numbers: Sequence[int]) -> list[tuple[int, bytes]]:
        places, commands = list_id_commands(self._keys, numbers)
        return decode_ids(places, await self._measure(commands))

    async def _measure(self, commands: Sequence[Sequence[Word]]) -> list[Reply]:
        """Send `commands` once the budget allows; measure the server's time by its
        own clock."""
        begun, *replies, ended = await self._client.execute_many(
            [("TIME",), *commands, ("TIME",)]
        )
        used_s = max(_read_seconds(ended) - _read_seconds(begun), 0.0)
        delay_s = self._budget.compute_delay_s(used_s, time.monotonic())
        if delay_s > 0:
            await asyncio.sleep(delay_s)
        return replies


async def _iter_batches(
    scan: IndexScan, limit: int, decodes_all: bool
) -> AsyncIterator[list[int]]:
    """Yield the numbers of the tasks of `scan`, newest first, some at a time.

    Where every record is decoded, no more than `limit` at first.
    """
    size = min(FIRST_BATCH, limit) if decodes_all else FIRST_BATCH
    async for chunk, mask in scan.iter_masks():
        numbers = [chunk * CHUNK_BITS + place for place in list_set_bits(mask)]
        while numbers:
            part, numbers = numbers[:size], numbers[size:]
            yield part
            size = min(2 * size, MAX_BATCH)


def _decode(number: int, stored: bytes, range_: TimeRange) -> TaskView | None:
    """Return the task in `stored`, if it arrived in `range_`.

    None if its number differs: it was deleted and arrived again.
    """
    head, task = decode_view_with_header(stored)
    if head.number == number and range_.contains(float(head.first_seen_ms)):
        return task
    return None


def _read_seconds(reply: Reply) -> float:
    seconds, microseconds = reply
    return int(seconds) + int(microseconds) / 1e6
