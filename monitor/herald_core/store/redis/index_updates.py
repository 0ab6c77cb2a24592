"""The index terms that records enter and leave, as one argument of the script."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import msgspec

from herald_core.model.index_limits import IndexLimits
from herald_core.store.records import IndexTerm
from herald_core.store.redis.bitmaps import CHUNK_BITS
from herald_core.store.redis.encoding.updates import EncodedUpdate
from herald_core.store.redis.keys import (
    BITMAP_INDEXES,
    BOUNDED_KEYS,
    SORTED_SET_INDEXES,
    RedisKeys,
)

_pack = msgspec.msgpack.Encoder().encode

IndexChange: TypeAlias = tuple[list[int], list[int], list[int]]
"""The records (from 1) that enter a place, those that leave it, and the chunks of
those that stay: the place must outlive them."""


DATED_KEYS = (*BOUNDED_KEYS, "group")
"""Index keys whose values are listed: the bounded ones, for globs and cleanup, and
groups, of which the newest are shown."""


def encode_index_changes(
    moves: Mapping[IndexTerm, IndexChange],
    drafts: Sequence[EncodedUpdate],
    keys: RedisKeys,
    apart: IndexLimits,
) -> bytes:
    """Return how `drafts` change their places, as `lua/store.lua` reads it."""
    maps: list[object] = []
    listings: list[object] = []
    indexes: list[object] = []
    bounded = {key: at for at, key in enumerate(BOUNDED_KEYS, 1)}
    entered: dict[str, list[str]] = {key: [] for key in BOUNDED_KEYS}
    for (key, value), (enter, leave, stay) in moves.items():
        at = bounded.get(key, 0)
        if at and enter:
            entered[key].append(value)
        if key in BITMAP_INDEXES:
            before, behind = keys.make_bitmap(key, value)
            counted = value if key == "state" else ""
            maps.append((counted, before, behind, enter, leave, stay, at, value))
        elif key in SORTED_SET_INDEXES:
            listing = keys.make_sorted_set(key, value)
            listings.append((listing, enter, leave, stay, at, value))
        else:
            scored = [word for n in enter for word in (n, drafts[n - 1].first_seen_ms)]
            indexes.append((keys.make_index(key, value), scored, leave))
    changes = [
        (keys.make_values(key), keys.make_others_chunks(key), limit, entered[key])
        for key, limit in zip(BOUNDED_KEYS, apart, strict=True)
    ]
    return _pack((maps, listings, indexes, changes))


def list_index_values(moves: Mapping[IndexTerm, IndexChange]) -> dict[str, list[str]]:
    """Return the values that are to be listed, by index key."""
    values: dict[str, list[str]] = {}
    for (key, value), (enter, leave, stay) in moves.items():
        # A leave needs no list entry. Groups are ordered by their newest member.
        listed = enter or stay or not leave if key in BOUNDED_KEYS else enter
        if listed and key in DATED_KEYS:
            values.setdefault(key, []).append(value)
    return values


def collect_index_changes(
    drafts: Sequence[EncodedUpdate],
) -> dict[IndexTerm, IndexChange]:
    """Return which of `drafts` enter, leave and stay in each place."""
    moves: defaultdict[IndexTerm, IndexChange] = defaultdict(lambda: ([], [], []))
    staying: defaultdict[int, set[IndexTerm]] = defaultdict(set)
    # Most drafts share the tuple of the places that they enter.
    entering: dict[int, tuple[list[int], list[IndexChange]]] = {}
    for number, draft in enumerate(drafts, 1):
        if draft.stays:
            # By chunk first: a batch is about few places.
            staying[draft.number // CHUNK_BITS].update(draft.stays)
        group = entering.get(id(draft.enters))
        if group is None:
            changes = [moves[place] for place in draft.enters]
            group = entering[id(draft.enters)] = (list[int](), changes)
        group[0].append(number)
        for place in draft.leaves:
            moves[place][1].append(number)
    for numbers, changes in entering.values():
        for change in changes:
            change[0].extend(numbers)
    for chunk, places in staying.items():
        for place in places:
            stay = moves[place][2]
            if chunk >= 0:
                stay.append(chunk)
    return moves
