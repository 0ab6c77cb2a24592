"""The index places that records enter and leave, as one word of the script."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TypeAlias

import msgspec

from herald_monitor.batch import Draft, Place
from herald_monitor.model.keys import LISTED, MAPPED, Keys
from herald_monitor.model.numbers import CHUNK

_pack = msgspec.msgpack.Encoder().encode

Move: TypeAlias = tuple[list[int], list[int], list[int]]
"""The records (from 1) that enter a place, those that leave it, and the chunks of
those that stay: the place must outlive them."""


def moves_of(drafts: Sequence[Draft], keys: Keys) -> bytes:
    """Return how `drafts` change their places, as `scripts/store.lua` reads it."""
    maps: list[object] = []
    listings: list[object] = []
    indexes: list[object] = []
    for (key, value), (enter, leave, stay) in _moves(drafts).items():
        if key in MAPPED:
            before, behind = keys.map(key, value)
            counted = value if key == "state" else ""
            maps.append((counted, before, behind, enter, leave, stay))
        elif key in LISTED:
            listings.append((keys.listing(key, value), enter, leave))
        else:
            scored = [word for n in enter for word in (n, drafts[n - 1].first)]
            indexes.append((keys.index(key, value), scored, leave))
    return _pack((maps, listings, indexes))


def _moves(drafts: Sequence[Draft]) -> dict[Place, Move]:
    moves: defaultdict[Place, Move] = defaultdict(lambda: ([], [], []))
    staying: defaultdict[int, set[Place]] = defaultdict(set)
    for number, draft in enumerate(drafts, 1):
        enters, leaves = draft.moves()
        # What is new enters all of its places.
        if draft.old is not None and not draft.gone:
            # By chunk first: a batch is about few places.
            staying[draft.number // CHUNK].update(draft.places)
        for place in enters:
            moves[place][0].append(number)
        for place in leaves:
            moves[place][1].append(number)
    for chunk, places in staying.items():
        for place in places:
            stay = moves[place][2]
            if chunk >= 0:
                stay.append(chunk)
    return moves
