"""The keys of a filter as predicates over the numbers of tasks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from herald_core.model.filters import GLOBS, Filter
from herald_core.model.patterns import PatternSet, is_glob
from herald_core.model.tasks.views import STATES
from herald_core.store.redis.connection.client import RedisClient
from herald_core.store.redis.connection.pool import Word
from herald_core.store.redis.keys import INDEX_KEYS, RedisKeys
from herald_core.store.redis.query.headers import find_id_masks
from herald_core.system.cooperative_work import TimeSlices

MAX_VALUES = 512
"""Values of a key that are put together. A glob that stands for more is checked on
records."""

MAX_RANGES = 64
"""Values that are looked for one by one among the others of a chunk. For more of
them, or a glob, the chunk's are read through: 4,096 tasks at most, 5 ms of our CPU."""

CHUNK_READ_COMMANDS = 200
"""Commands that this counts as."""


@dataclass
class KeyPredicate:
    """One key of a filter: its values, and masks by chunk of the tasks found.

    For patterns, `values` are the separately indexed ones; others match `patterns` as
    well.
    """

    key: str
    values: tuple[str, ...]
    fixed: dict[int, int] = field(default_factory=dict[int, int])
    patterns: tuple[str, ...] = ()

    @property
    def reads_all(self) -> bool:
        """True if all the others of a chunk are read to find its tasks."""
        return bool(self.patterns) or len(self.values) > MAX_RANGES

    @property
    def range_commands(self) -> int:
        """The number of commands that reading the others of a chunk counts as."""
        return CHUNK_READ_COMMANDS if self.reads_all else len(self.values)

    def list_range_commands(self, key: str) -> list[tuple[Word, ...]]:
        """Return the commands that read its tasks out of the others at `key`."""
        if self.reads_all:
            return [("ZRANGE", key, 0, -1)]
        return [
            ("ZRANGEBYLEX", key, f"[{value}\0", f"({value}\1") for value in self.values
        ]


async def make_predicates(
    client: RedisClient, keys: RedisKeys, filter_: Filter
) -> list[KeyPredicate]:
    """Return the keys of `filter_` as predicates, the cheapest first.

    Keys with too many values are omitted, except for those of a filter that narrows a
    token. A scan must not visit a task that its caller may not see, since its end would
    reveal it. The result is never empty: without any other key it is the predicate of
    all tasks.
    """
    usable = [
        predicate
        for predicate in await _load_predicates(client, keys, filter_)
        if len(predicate.values) <= MAX_VALUES
    ]
    narrower = filter_.also
    while narrower is not None:
        more = await _load_predicates(client, keys, narrower)
        usable += [predicate for predicate in more if predicate not in usable]
        narrower = narrower.also
    if not usable:
        usable.append(KeyPredicate("state", STATES))
    return sorted(usable, key=lambda predicate: len(predicate.values))


async def _load_predicates(
    client: RedisClient, keys: RedisKeys, filter_: Filter
) -> list[KeyPredicate]:
    predicates = [
        await _load_predicate(client, keys, key, values)
        for key in INDEX_KEYS
        if (values := getattr(filter_, key)) is not None
    ]
    if filter_.ids is not None:
        masks = await find_id_masks(client, keys, filter_.ids)
        predicates.append(KeyPredicate("ids", (), masks))
    return predicates


async def _load_predicate(
    client: RedisClient, keys: RedisKeys, key: str, values: tuple[str, ...]
) -> KeyPredicate:
    if key == "root":
        # The root of a tree is in no list of its own.
        return KeyPredicate(key, values, await find_id_masks(client, keys, values))
    if key in GLOBS and any(map(is_glob, values)):
        stored = await client.execute("ZRANGE", keys.make_values(key), 0, -1)
        matching = await _select_matching(PatternSet(values), stored)
        return KeyPredicate(key, matching, patterns=values)
    return KeyPredicate(key, values)


async def _select_matching(
    patterns: PatternSet, stored: Sequence[bytes]
) -> tuple[str, ...]:
    """Return those of the values `stored` that one of `patterns` matches."""
    matching: list[str] = []
    slices = TimeSlices()
    for value in stored:
        text = value.decode()
        if patterns.matches(text):
            matching.append(text)
        await slices.yield_if_due()
    return tuple(matching)
