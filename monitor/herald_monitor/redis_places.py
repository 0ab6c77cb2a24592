"""The index places that records enter and leave, as one word of the script."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import msgspec

from herald_monitor.batch import Place
from herald_monitor.model.keys import BOUNDED, LISTED, MAPPED, Apart, Keys
from herald_monitor.model.numbers import CHUNK
from herald_monitor.redis_drafts import Stored

_pack = msgspec.msgpack.Encoder().encode

Move: TypeAlias = tuple[list[int], list[int], list[int]]
"""The records (from 1) that enter a place, those that leave it, and the chunks of
those that stay: the place must outlive them."""


DATED = (*BOUNDED, "group")
"""Index keys whose values are listed: those that are bounded, for globs and for
clearing up, and groups, of which the newest are told."""


def packed(
    moves: Mapping[Place, Move], drafts: Sequence[Stored], keys: Keys, apart: Apart
) -> bytes:
    """Return how `drafts` change their places, as `scripts/store.lua` reads it."""
    maps: list[object] = []
    listings: list[object] = []
    indexes: list[object] = []
    bounded = {key: at for at, key in enumerate(BOUNDED, 1)}
    entered: dict[str, list[str]] = {key: [] for key in BOUNDED}
    for (key, value), (enter, leave, stay) in moves.items():
        at = bounded.get(key, 0)
        if at and enter:
            entered[key].append(value)
        if key in MAPPED:
            before, behind = keys.map(key, value)
            counted = value if key == "state" else ""
            maps.append((counted, before, behind, enter, leave, stay, at, value))
        elif key in LISTED:
            listing = keys.listing(key, value)
            listings.append((listing, enter, leave, stay, at, value))
        else:
            scored = [word for n in enter for word in (n, drafts[n - 1].first)]
            indexes.append((keys.index(key, value), scored, leave))
    told = [
        (keys.values(key), keys.others(key), most, entered[key])
        for key, most in zip(BOUNDED, apart, strict=True)
    ]
    return _pack((maps, listings, indexes, told))


def values_in(moves: Mapping[Place, Move]) -> dict[str, list[str]]:
    """Return the values that are to be listed, by index key."""
    values: dict[str, list[str]] = {}
    for (key, value), (enter, leave, stay) in moves.items():
        # Who only leaves a place lists it no more. Groups lie by their newest member.
        listed = enter or stay or not leave if key in BOUNDED else enter
        if listed and key in DATED:
            values.setdefault(key, []).append(value)
    return values


def moves_of(drafts: Sequence[Stored]) -> dict[Place, Move]:
    """Return which of `drafts` enter, leave and stay in each place."""
    moves: defaultdict[Place, Move] = defaultdict(lambda: ([], [], []))
    staying: defaultdict[int, set[Place]] = defaultdict(set)
    for number, draft in enumerate(drafts, 1):
        if draft.stays:
            # By chunk first: a batch is about few places.
            staying[draft.number // CHUNK].update(draft.stays)
        for place in draft.enters:
            moves[place][0].append(number)
        for place in draft.leaves:
            moves[place][1].append(number)
    for chunk, places in staying.items():
        for place in places:
            stay = moves[place][2]
            if chunk >= 0:
                stay.append(chunk)
    return moves
