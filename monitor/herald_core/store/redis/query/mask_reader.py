"""Masks of one predicate: of its indexed values, and of the others of a chunk."""

from __future__ import annotations

from collections.abc import Sequence

from herald_core.model.patterns import PatternSet
from herald_core.store.redis.bitmaps import CHUNK_BITS, make_mask, read_bitmap
from herald_core.store.redis.connection.client import RedisClient
from herald_core.store.redis.connection.pool import Reply, Word
from herald_core.store.redis.keys import BITMAP_INDEXES, BOUNDED_KEYS, RedisKeys
from herald_core.store.redis.query.predicates import KeyPredicate
from herald_core.system.cooperative_work import TimeSlices


class MaskReader:
    """Reads masks of predicates, and counts the commands that it sends.

    `others` are the chunks with tasks of values that have no index of their own, by
    key.
    """

    def __init__(
        self, client: RedisClient, keys: RedisKeys, others: dict[str, set[int]]
    ) -> None:
        self._client = client
        self._keys = keys
        self._others = others
        self.commands = 0

    def count_commands(self, predicate: KeyPredicate) -> int:
        """Return the number of commands that read the masks of one chunk."""
        reads_all = predicate.reads_all and self._others.get(predicate.key)
        others = predicate.range_commands if reads_all else 0
        return max(len(predicate.values), 1) + others

    async def read_masks(
        self, predicate: KeyPredicate, chunks: Sequence[int]
    ) -> list[int]:
        """Return the masks of `chunks`, read in one atomic step.

        A task that goes from one value to another has one of them at that moment.
        """
        self.commands += len(chunks) * len(predicate.values)
        own = self._list_commands(predicate, chunks)
        if predicate.key in BOUNDED_KEYS:
            return await self._read_bounded(predicate, chunks, own)
        replies = await self._client.execute_many(own, atomic=len(own) > 1)
        return _decode_masks(predicate, chunks, replies)

    async def _read_bounded(
        self,
        predicate: KeyPredicate,
        chunks: Sequence[int],
        own: Sequence[tuple[Word, ...]],
    ) -> list[int]:
        while True:
            others = sorted(self._others[predicate.key].intersection(chunks))
            replies, known = await self._read_with_others(predicate, own, others)
            self._others[predicate.key] = known
            if known.intersection(chunks) <= set(others):
                break
            # The chunk has others only now: their tasks were found in their own index.
        self.commands += len(others) * predicate.range_commands
        masks = _decode_masks(predicate, chunks, replies[: len(own)])
        ranges = await _decode_ranges(predicate, others, replies[len(own) :])
        return [
            mask | ranges.get(chunk, 0)
            for chunk, mask in zip(chunks, masks, strict=True)
        ]

    async def _read_with_others(
        self,
        predicate: KeyPredicate,
        own: Sequence[tuple[Word, ...]],
        others: Sequence[int],
    ) -> tuple[list[Reply], set[int]]:
        """Read `own`, and the tasks among the others of these chunks, in one step.

        The second value is the set of chunks with others at that moment.
        """
        ranges = [
            command
            for chunk in others
            for command in predicate.list_range_commands(
                self._keys.make_others(predicate.key, chunk)
            )
        ]
        members = ("SMEMBERS", self._keys.make_others_chunks(predicate.key))
        *replies, known = await self._client.execute_many(
            [*own, *ranges, members], atomic=True
        )
        return replies, set(map(int, known))

    def _list_commands(
        self, predicate: KeyPredicate, chunks: Sequence[int]
    ) -> list[tuple[Word, ...]]:
        """Return the commands that read separately indexed values."""
        key, values = predicate.key, predicate.values
        if not values or not chunks:
            return []
        if key in BITMAP_INDEXES:
            maps = [self._keys.make_bitmap(key, value) for value in values]
            return [("MGET", *(f"{b}{c}{e}" for c in chunks for b, e in maps))]
        sets = [self._keys.make_sorted_set(key, value) for value in values]
        return [
            ("ZRANGEBYSCORE", set_, chunk * CHUNK_BITS, (chunk + 1) * CHUNK_BITS - 1)
            for chunk in chunks
            for set_ in sets
        ]


def _decode_masks(
    predicate: KeyPredicate, chunks: Sequence[int], replies: Sequence[Reply]
) -> list[int]:
    """Return a mask a chunk; `replies` has one value after another, by chunk."""
    if predicate.key in BITMAP_INDEXES:
        parts = [read_bitmap(stored) for stored in (replies[0] if replies else ())]
    else:
        parts = [_make_set_mask(members) for members in replies]
    masks: list[int] = []
    for at, chunk in enumerate(chunks):
        mask = predicate.fixed.get(chunk, 0)
        from_ = at * len(predicate.values)
        for part in parts[from_ : from_ + len(predicate.values)]:
            mask |= part
        masks.append(mask)
    return masks


def _make_set_mask(members: Sequence[bytes]) -> int:
    return make_mask(int(number) % CHUNK_BITS for number in members)


async def _decode_ranges(
    predicate: KeyPredicate, chunks: Sequence[int], replies: Sequence[Reply]
) -> dict[int, int]:
    """Return the masks of the replies to `list_range_commands`, by chunk."""
    patterns, values = PatternSet(predicate.patterns), frozenset(predicate.values)
    slices = TimeSlices()
    masks: dict[int, int] = {}
    each = len(predicate.list_range_commands(""))
    for at, chunk in enumerate(chunks):
        places: list[int] = []
        for members in replies[at * each : (at + 1) * each]:
            for member in members:
                text, _, place = member.rpartition(b"\0")
                value = text.decode()
                if value in values or patterns.matches(value):
                    places.append(int(place))
                await slices.yield_if_due()
        masks[chunk] = make_mask(places)
    return masks
