"""The scan of chunks, the newest first, by all predicates of a filter."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass

from herald_core.store.redis.bitmaps import (
    ALL_BITS,
    CHUNK_BITS,
    make_mask_below,
    make_segment_mask,
)
from herald_core.store.redis.connection.client import RedisClient
from herald_core.store.redis.connection.pool import Reply
from herald_core.store.redis.keys import BOUNDED_KEYS, SORTED_SET_INDEXES, RedisKeys
from herald_core.store.redis.query.mask_reader import MaskReader
from herald_core.store.redis.query.predicates import KeyPredicate

MAX_BATCH_COMMANDS = 512
"""Commands that are sent at once."""

RARE_GROWTH = 8
"""How many times more chunks are looked at next for values that few tasks have: most
chunks have none, and each look is a round trip."""


@dataclass(frozen=True)
class TimeRange:
    """A range of first arrivals: from `low` up to before `high`, in ms."""

    low: float = float("-inf")
    high: float = float("inf")

    def contains(self, first: float) -> bool:
        """Return True if `first` lies in the range."""
        return self.low <= first < self.high

    def contains_all(self, earliest: float, latest: float) -> bool:
        """Return True if all from `earliest` to `latest` lies in the range."""
        return self.contains(earliest) and self.contains(latest)

    def overlaps(self, earliest: float, latest: float) -> bool:
        """Return True if a time from `earliest` to `latest` can lie in the range."""
        return earliest < self.high and latest >= self.low


def make_time_range(after: float | None, before: float | None) -> TimeRange:
    """Return the range of arrivals from `after` up to before `before` (unix s)."""
    return TimeRange(
        float("-inf") if after is None else after * 1000,
        float("inf") if before is None else before * 1000,
    )


class IndexScan:
    """Masks of all predicates together, the newest chunk first.

    Only tasks with numbers before `until` are found, if it is given.
    """

    def __init__(
        self,
        client: RedisClient,
        keys: RedisKeys,
        predicates: Sequence[KeyPredicate],
        range_: TimeRange = TimeRange(),
        until: int | None = None,
    ) -> None:
        self._client = client
        self._keys = keys
        self._predicates = predicates
        self._range = range_
        self._until = until
        self._partial: set[int] = set()
        """Chunks of which only some segments lie in the range."""
        self._others: dict[str, set[int]] = {}
        self._masks = MaskReader(client, keys, self._others)

    @property
    def continues(self) -> bool:
        """True if it goes on where another one ended."""
        return self._until is not None

    @property
    def commands(self) -> int:
        """The number of commands that the scan has sent for masks."""
        return self._masks.commands

    async def iter_masks(self) -> AsyncIterator[tuple[int, int]]:
        """Yield each chunk that may hold any, and its mask, which may be empty."""
        chunks = await self._list_chunks()
        dearest = max(map(self._masks.count_commands, self._predicates))
        limit, step = max(MAX_BATCH_COMMANDS // dearest, 1), 1
        is_rare = any(one.key in SORTED_SET_INDEXES for one in self._predicates)
        while chunks:
            part, chunks = chunks[:step], chunks[step:]
            for chunk, mask in (await self._intersect_masks(part)).items():
                yield chunk, mask
            step = min((RARE_GROWTH if is_rare else 2) * step, limit)

    async def _list_chunks(self) -> list[int]:
        """Return the chunks that the range overlaps, and read where others are."""
        bounded = [one.key for one in self._predicates if one.key in BOUNDED_KEYS]
        stored, *others = await self._client.execute_many(
            [
                ("HGETALL", self._keys.chunks),
                *(("SMEMBERS", self._keys.make_others_chunks(key)) for key in bounded),
            ]
        )
        for key, members in zip(bounded, others, strict=True):
            self._others[key] = set(map(int, members))
        last = None if self._until is None else self._until // CHUNK_BITS
        chunks: list[int] = []
        for chunk, earliest, latest in _iter_arrivals(stored):
            if self._range.overlaps(earliest, latest):
                chunks.append(chunk)
                if not self._range.contains_all(earliest, latest):
                    self._partial.add(chunk)
        return sorted((c for c in chunks if last is None or c <= last), reverse=True)

    async def _intersect_masks(self, chunks: Sequence[int]) -> dict[int, int]:
        masks = dict.fromkeys(chunks, ALL_BITS)
        if self._until is not None and self._until // CHUNK_BITS in masks:
            masks[self._until // CHUNK_BITS] = make_mask_below(self._until % CHUNK_BITS)
        for chunk in self._partial.intersection(masks):
            masks[chunk] &= await self._mask_range(chunk)
        for predicate in self._predicates:
            left = [chunk for chunk, mask in masks.items() if mask]
            read = await self._masks.read_masks(predicate, left)
            for chunk, mask in zip(left, read, strict=True):
                masks[chunk] &= mask
        return masks

    async def _mask_range(self, chunk: int) -> int:
        """Return the mask of the segments of `chunk` that may overlap the range."""
        stored = await self._client.execute("HGETALL", self._keys.make_chunk(chunk))
        mask = 0
        for segment, earliest, latest in _iter_arrivals(stored):
            if self._range.overlaps(earliest, latest):
                mask |= make_segment_mask(segment)
        return mask


def _iter_arrivals(stored: Reply) -> Iterator[tuple[int, float, float]]:
    """Yield each chunk or segment with its earliest and latest first arrival (ms)."""
    for number, firsts in zip(stored[::2], stored[1::2], strict=True):
        earliest, latest = map(float, firsts.split())
        yield int(number), earliest, latest
