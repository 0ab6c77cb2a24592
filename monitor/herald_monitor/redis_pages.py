"""Walks through the indexes of tasks, newest first.

Each filter key is a union of indexes, one a value. A walk goes through the key
with the fewest tasks, and asks the other keys' indexes about what it meets, so
that few records are read in vain. A task keeps its score for life, and is in
its indexes in the same step as its record says so; a walk that goes down by
score and id meets it exactly once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from herald_monitor.model.filters import GLOBS, Filter, glob, is_glob
from herald_monitor.model.keys import INDEXED, Keys
from herald_monitor.model.shape import STATES
from herald_monitor.paging import Spot
from herald_monitor.redis_link import Link, Reply

MAX_INDEXES = 128
"""Indexes that a walk merges. A glob that stands for more is checked on records."""

MOST = 512
CHUNK = 16
"""Spots that are read of all indexes together, and of each at least."""


@dataclass(frozen=True)
class Span:
    """When tasks were first heard of: from `low` up to before `high`, in ms."""

    low: float = float("-inf")
    high: float = float("inf")

    def holds(self, first: float) -> bool:
        """Say whether `first` lies in it."""
        return self.low <= first < self.high


@dataclass
class Group:
    """One key of a filter: its indexes, and tasks that belong to it without one."""

    key: str
    indexes: list[str]
    ids: tuple[str, ...] = ()
    size: int = 0
    """How many tasks it holds, or a few more."""


ALL = tuple(("state", state) for state in STATES)


async def groups_of(link: Link, keys: Keys, filter_: Filter) -> list[Group]:
    """Return the keys of `filter_` as groups, the smallest first.

    Keys that stand for too many indexes are left out. Never empty: without any
    other key there is the group of all tasks.
    """
    groups = [await _group(link, keys, key, filter_) for key in INDEXED]
    usable = [g for g in groups if g is not None and len(g.indexes) <= MAX_INDEXES]
    if filter_.ids is not None:
        usable.append(Group("ids", [], filter_.ids))
    if not usable:
        usable.append(Group("state", [keys.index(*place) for place in ALL]))
    await _measure(link, usable)
    return sorted(usable, key=lambda group: group.size)


async def _group(link: Link, keys: Keys, key: str, filter_: Filter) -> Group | None:
    asked: tuple[str, ...] | None = getattr(filter_, key)
    if asked is None:
        return None
    values = asked
    if key in GLOBS and any(is_glob(one) for one in asked):
        stored = await link.call("ZRANGE", keys.values(key), 0, -1)
        tests = [glob(one) for one in asked]
        known = [value.decode() for value in stored]
        values = tuple(v for v in known if any(test(v) for test in tests))
    # The root of a tree is in no index of its own.
    ids = asked if key == "root" else ()
    return Group(key, [keys.index(key, value) for value in values], ids)


async def _measure(link: Link, groups: Sequence[Group]) -> None:
    indexes = [index for group in groups for index in group.indexes]
    counted = await link.calls([("ZCARD", index) for index in indexes])
    sizes = dict(zip(indexes, counted, strict=True))
    for group in groups:
        group.size = len(group.ids) + sum(sizes[index] for index in group.indexes)


class Walk:
    """Spots of one group, newest first, each once; read stretch by stretch.

    A stretch is read from all indexes in one atomic step: a task that goes from
    one of them to another is in exactly one at that moment.
    """

    def __init__(
        self,
        link: Link,
        indexes: Sequence[str],
        span: Span,
        after: Spot | None,
        fixed: Iterable[Spot] = (),
    ) -> None:
        self._link = link
        self._indexes = indexes
        self._span = span
        self._last = after
        self._chunk = max(CHUNK, MOST // max(len(indexes), 1))
        self._fixed = [spot for spot in fixed if span.holds(spot.first)]

    async def next(self) -> tuple[list[Spot], bool]:
        """Return the next spots (perhaps none), and whether they are the last."""
        asked = [self._ask(index) for index in self._indexes]
        runs = [_spots(r) for r in await self._link.calls(asked, atomic=True)]
        # As far down as every index was read: below, one may hold more.
        floor = max((run[-1] for run in runs if len(run) == self._chunk), default=None)
        met = {spot for run in (*runs, self._fixed) for spot in run}
        found = sorted(
            (s for s in met if self._ahead(s) and (floor is None or s >= floor)),
            reverse=True,
        )
        if found:
            self._last = found[-1]
        elif floor is not None:
            # More tasks of one moment than a chunk holds.
            self._chunk *= 2
        return found, floor is None

    def _ahead(self, spot: Spot) -> bool:
        return self._last is None or spot < self._last

    def _ask(self, index: str) -> tuple[str | int, ...]:
        high = f"({self._span.high!r}"
        if self._last is not None and self._last.first < self._span.high:
            # Those with the same score are told again: they must not be missed.
            high = repr(self._last.first)
        low = repr(self._span.low)
        return (
            *("ZREVRANGEBYSCORE", index, high, low),
            *("WITHSCORES", "LIMIT", 0, self._chunk),
        )


def _spots(reply: Reply) -> list[Spot]:
    return [
        Spot(float(reply[i + 1]), reply[i].decode()) for i in range(0, len(reply), 2)
    ]


async def members(
    link: Link, spots: Sequence[Spot], groups: Sequence[Group]
) -> list[Spot]:
    """Return those of `spots` that are in each of `groups`."""
    for group in groups:
        if not spots:
            break
        ids = [spot.id for spot in spots]
        asked = [("ZMSCORE", index, *ids) for index in group.indexes]
        replies = await link.calls(asked, atomic=True)
        fixed = set(group.ids)
        inside = [id_ in fixed for id_ in ids]
        for scores in replies:
            inside = [i or s is not None for i, s in zip(inside, scores, strict=True)]
        spots = [s for s, i in zip(spots, inside, strict=True) if i]
    return list(spots)
