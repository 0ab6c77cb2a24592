"""Walks through the tasks of a filter, newest first, by bits.

Each key of a filter is a group: a mask over the numbers of a chunk, put together
from all values that are asked for. Groups are ANDed, chunk by chunk from the newest
down; only what is left is looked at. A task keeps its number for life, and its bits
change in the same step as its record, so a walk meets it exactly once.

Of the bounded keys (names, workers, queues, tags) only so many values have an index of
their own. Tasks of the others are found by text, in one sorted set a chunk.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from herald_monitor.model.changes import TASK
from herald_monitor.model.filters import GLOBS, Filter
from herald_monitor.model.keys import BOUNDED, INDEXED, MAPPED, Keys
from herald_monitor.model.numbers import (
    CHUNK,
    EVERY,
    below,
    mask_of,
    mask_of_places,
    mask_of_segment,
)
from herald_monitor.model.patterns import PatternSet, is_glob
from herald_monitor.model.shape import STATES
from herald_monitor.records import HEAD, read_head
from herald_monitor.redis_link import Link, Reply, Word
from herald_monitor.turns import Turns

MOST_VALUES = 512
"""Values of a key that are put together. A glob that stands for more is checked on
records."""

ASKED = 512
"""Commands that are sent at once."""

EFFORT = 4_000
"""Commands that one page sends to find tasks; then it is handed out as it is."""

MOST_RANGES = 64
"""Values that are looked for one by one among the others of a chunk. For more of
them, or a glob, the chunk's are read through: 4,096 tasks at most, 5 ms of our CPU."""

WHOLE = 200
"""Commands that this counts as."""


@dataclass(frozen=True)
class Span:
    """When tasks were first heard of: from `low` up to before `high`, in ms."""

    low: float = float("-inf")
    high: float = float("inf")

    def holds(self, first: float) -> bool:
        """Say whether `first` lies in it."""
        return self.low <= first < self.high

    def covers(self, earliest: float, latest: float) -> bool:
        """Say whether all from `earliest` to `latest` lies in it."""
        return self.holds(earliest) and self.holds(latest)

    def meets(self, earliest: float, latest: float) -> bool:
        """Say whether anything from `earliest` to `latest` can lie in it."""
        return earliest < self.high and latest >= self.low


@dataclass
class Group:
    """One key of a filter: its values, and masks by chunk of tasks known to be in.

    Of patterns, `values` are those indexed apart; others match `patterns` as well.
    """

    key: str
    values: tuple[str, ...]
    fixed: dict[int, int] = field(default_factory=dict[int, int])
    patterns: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether all the others of a chunk are read to find its tasks."""
        return bool(self.patterns) or len(self.values) > MOST_RANGES

    def ranges(self, key: str) -> list[tuple[Word, ...]]:
        """Return the commands that read its tasks out of the others at `key`."""
        if self.is_whole:
            return [("ZRANGE", key, 0, -1)]
        return [
            ("ZRANGEBYLEX", key, f"[{value}\0", f"({value}\1") for value in self.values
        ]


async def groups_of(link: Link, keys: Keys, filter_: Filter) -> list[Group]:
    """Return the keys of `filter_` as groups, the cheapest first.

    Keys that stand for too many values are left out, but for those of a filter that
    narrows it: a walk must meet no task that its caller may not see, since where it
    ends would tell of it. Never empty: without any other key there is the group of
    all tasks.
    """
    usable = [
        group
        for group in await _groups(link, keys, filter_)
        if len(group.values) <= MOST_VALUES
    ]
    narrower = filter_.also
    while narrower is not None:
        more = await _groups(link, keys, narrower)
        usable += [group for group in more if group not in usable]
        narrower = narrower.also
    if not usable:
        usable.append(Group("state", STATES))
    return sorted(usable, key=lambda group: len(group.values))


async def _groups(link: Link, keys: Keys, filter_: Filter) -> list[Group]:
    found = [await _group(link, keys, key, filter_) for key in INDEXED]
    groups = [group for group in found if group is not None]
    if filter_.ids is not None:
        groups.append(Group("ids", (), await numbers_of(link, keys, filter_.ids)))
    return groups


async def _group(link: Link, keys: Keys, key: str, filter_: Filter) -> Group | None:
    asked: tuple[str, ...] | None = getattr(filter_, key)
    if asked is None:
        return None
    if key == "root":
        # The root of a tree is in no list of its own.
        return Group(key, asked, await numbers_of(link, keys, asked))
    if key in GLOBS and any(is_glob(one) for one in asked):
        stored = await link.call("ZRANGE", keys.values(key), 0, -1)
        values = await _matching(PatternSet(asked), stored)
        return Group(key, values, patterns=asked)
    return Group(key, asked)


async def _matching(patterns: PatternSet, stored: Sequence[bytes]) -> tuple[str, ...]:
    """Return those of the values `stored` that one of `patterns` matches."""
    found: list[str] = []
    turns = Turns()
    for value in stored:
        text = value.decode()
        if patterns.matches(text):
            found.append(text)
        await turns.take()
    return tuple(found)


async def numbers_of(link: Link, keys: Keys, ids: Sequence[str]) -> dict[int, int]:
    """Return the masks of those of `ids` that are stored, by chunk."""
    heads = await link.calls(
        [("GETRANGE", keys.record(TASK, id_), 0, HEAD) for id_ in ids]
    )
    places: dict[int, list[int]] = {}
    for head in heads:
        if head:
            number = read_head(head.partition(b"\n")[0]).number
            places.setdefault(number // CHUNK, []).append(number % CHUNK)
    return {chunk: mask_of_places(of) for chunk, of in places.items()}


class Walk:
    """Masks of all groups together, the newest chunk first."""

    def __init__(
        self,
        link: Link,
        keys: Keys,
        groups: Sequence[Group],
        span: Span,
        until: int | None,
    ) -> None:
        self._link = link
        self._keys = keys
        self._groups = groups
        self._span = span
        self._until = until
        self._cut: set[int] = set()
        """Chunks of which only some segments lie in the span."""
        self._others: dict[str, set[int]] = {}
        """Chunks with tasks of values that are not indexed apart, by key."""
        self.effort = 0

    async def masks(self) -> AsyncIterator[tuple[int, int]]:
        """Yield each chunk that may hold any, and its mask, which may be empty."""
        chunks = await self._chunks()
        most = max(ASKED // max(self._commands(g) for g in self._groups), 1)
        step = 1
        while chunks:
            part, chunks = chunks[:step], chunks[step:]
            for chunk, mask in (await self._together(part)).items():
                yield chunk, mask
            step = min(2 * step, most)

    async def _chunks(self) -> list[int]:
        bounded = [group.key for group in self._groups if group.key in BOUNDED]
        told, *others = await self._link.calls(
            [
                ("HGETALL", self._keys.chunks),
                *(("SMEMBERS", self._keys.others(key)) for key in bounded),
            ]
        )
        for key, listed in zip(bounded, others, strict=True):
            self._others[key] = set(map(int, listed))
        last = None if self._until is None else self._until // CHUNK
        found: list[int] = []
        for chunk, firsts in zip(told[::2], told[1::2], strict=True):
            earliest, latest = map(float, firsts.split())
            if self._span.meets(earliest, latest):
                found.append(int(chunk))
                if not self._span.covers(earliest, latest):
                    self._cut.add(int(chunk))
        return sorted((c for c in found if last is None or c <= last), reverse=True)

    def _commands(self, group: Group) -> int:
        whole = WHOLE if group.is_whole and self._others.get(group.key) else 0
        return max(len(group.values), 1) + whole

    async def _together(self, chunks: Sequence[int]) -> dict[int, int]:
        masks = dict.fromkeys(chunks, EVERY)
        if self._until is not None and self._until // CHUNK in masks:
            masks[self._until // CHUNK] = below(self._until % CHUNK)
        for chunk in self._cut.intersection(masks):
            masks[chunk] &= await self._in_span(chunk)
        for group in self._groups:
            left = [chunk for chunk, mask in masks.items() if mask]
            for chunk, mask in zip(left, await self._read(group, left), strict=True):
                masks[chunk] &= mask
        return masks

    async def _in_span(self, chunk: int) -> int:
        """Return the mask of the segments of `chunk` that may lie in the span."""
        told: Reply = await self._link.call("HGETALL", self._keys.chunk(chunk))
        mask = 0
        for segment, firsts in zip(told[::2], told[1::2], strict=True):
            if self._span.meets(*map(float, firsts.split())):
                mask |= mask_of_segment(int(segment))
        return mask

    async def _read(self, group: Group, chunks: Sequence[int]) -> list[int]:
        """Return the masks of one group, read in one atomic step.

        A task that goes from one value to another has one of them at that moment.
        """
        self.effort += len(chunks) * len(group.values)
        own = self._own(group, chunks)
        if group.key not in BOUNDED:
            told = await self._link.calls(own, atomic=len(own) > 1)
            return self._masks(group, chunks, told)
        while True:
            others = sorted(self._others[group.key].intersection(chunks))
            told, known = await self._with_others(group, own, others)
            self._others[group.key] = known
            if known.intersection(chunks) <= set(others):
                break
            # A chunk has others only now: what went there was looked for elsewhere.
        masks = self._masks(group, chunks, told[: len(own)])
        found = await _places(group, others, told[len(own) :])
        self.effort += len(others) * (WHOLE if group.is_whole else len(group.values))
        return [
            mask | found.get(chunk, 0)
            for chunk, mask in zip(chunks, masks, strict=True)
        ]

    async def _with_others(
        self, group: Group, own: Sequence[tuple[Word, ...]], others: Sequence[int]
    ) -> tuple[list[Reply], set[int]]:
        """Ask `own`, and for tasks among the others of these chunks, in one step.

        The second is which chunks have any others at that moment.
        """
        asked = [
            word
            for chunk in others
            for word in group.ranges(self._keys.other(group.key, chunk))
        ]
        listed = ("SMEMBERS", self._keys.others(group.key))
        *told, known = await self._link.calls([*own, *asked, listed], atomic=True)
        return told, set(map(int, known))

    def _own(self, group: Group, chunks: Sequence[int]) -> list[tuple[Word, ...]]:
        """Return the commands that read what is indexed apart."""
        if not group.values or not chunks:
            return []
        if group.key in MAPPED:
            maps = [self._keys.map(group.key, value) for value in group.values]
            return [("MGET", *(f"{b}{c}{e}" for c in chunks for b, e in maps))]
        listings = [self._keys.listing(group.key, value) for value in group.values]
        return [
            ("ZRANGEBYSCORE", listing, chunk * CHUNK, (chunk + 1) * CHUNK - 1)
            for chunk in chunks
            for listing in listings
        ]

    def _masks(
        self, group: Group, chunks: Sequence[int], told: Sequence[Reply]
    ) -> list[int]:
        if group.key in MAPPED:
            read = [mask_of(stored) for stored in (told[0] if told else ())]
        else:
            read = [_mask_of(listed) for listed in told]
        masks: list[int] = []
        for at, chunk in enumerate(chunks):
            mask = group.fixed.get(chunk, 0)
            from_ = at * len(group.values)
            for one in read[from_ : from_ + len(group.values)]:
                mask |= one
            masks.append(mask)
        return masks


async def _places(
    group: Group, chunks: Sequence[int], told: Sequence[Reply]
) -> dict[int, int]:
    """Return the masks of what `group.ranges` found, by chunk."""
    patterns, values = PatternSet(group.patterns), frozenset(group.values)
    turns = Turns()
    found: dict[int, int] = {}
    each = len(group.ranges(""))
    for at, chunk in enumerate(chunks):
        places: list[int] = []
        for members in told[at * each : (at + 1) * each]:
            for member in members:
                text, _, place = member.rpartition(b"\0")
                value = text.decode()
                if value in values or patterns.matches(value):
                    places.append(int(place))
                await turns.take()
        found[chunk] = mask_of_places(places)
    return found


def _mask_of(reply: Reply) -> int:
    return mask_of_places(int(number) % CHUNK for number in reply)
