"""`scripts/store.lua` and its words: drafts in, what became of them out."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

import msgspec

from herald_monitor.batch import Draft, Known, Name, Place
from herald_monitor.model.codec import pack
from herald_monitor.model.cursor import START, Cursor, parse_cursor
from herald_monitor.model.keys import Keys
from herald_monitor.redis_link import Link, Word

GONE_MOST = 100_000
"""Ids that are remembered as expired."""

ALWAYS = ""
NEVER = "-"

_moves = msgspec.msgpack.Encoder()


@dataclass(frozen=True)
class Bounds:
    """How much is kept: seconds, entries of the log, bytes of the log."""

    retention: float
    unfinished: float
    length: int
    size: int
    slack: float = 86_400.0
    """Seconds that a record outlives its time, so that a sweep announces its end."""

    @property
    def longest(self) -> int:
        """Seconds that no record outlives."""
        return int(max(self.retention, self.unfinished) + self.slack)


class Stored(msgspec.Struct, frozen=True, gc=False):
    """A draft with its time: `ttl` in seconds, `due` a score or nothing."""

    draft: Draft
    ttl: int
    due: str = ""


@dataclass
class Outcome:
    """What a script did. `refused` are drafts on which another was faster."""

    end: Cursor
    opened: bool
    known: dict[Name, Known] = field(default_factory=dict[Name, Known])
    refused: list[Draft] = field(default_factory=list[Draft])


@cache
def source_of(name: str, flags: str = "") -> tuple[str, str]:
    """Return the hash and the text of a script, its `flags` on the first line."""
    text = files("herald_monitor").joinpath("scripts", name).read_text("utf-8")
    text = text.replace("#!lua\n", f"#!lua{flags}\n", 1)
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest(), text


class StoreScript:
    """Runs the script against one store."""

    def __init__(self, link: Link, keys: Keys, bounds: Bounds) -> None:
        self._link = link
        self._keys = keys
        self._bounds = bounds

    async def run(
        self,
        drafts: Sequence[Stored],
        commands: Sequence[Sequence[Word]] = (),
        bookmark: str = NEVER,
        allow_oom: bool = False,
    ) -> Outcome:
        """Store `drafts` in one step, then run `commands` in the same."""
        words = self._words(drafts, commands, bookmark)
        # Forgetting must work in a full store: it is what makes room.
        sha, source = source_of("store.lua", " flags=allow-oom" if allow_oom else "")
        end, opened, *refused = await self._link.script(sha, source, words)
        return _outcome(drafts, end, bool(opened), {int(n) - 1 for n in refused})

    def _words(
        self,
        drafts: Sequence[Stored],
        commands: Sequence[Sequence[Word]],
        bookmark: str,
    ) -> list[Word]:
        keys, bounds = self._keys, self._bounds
        indexes, moves = _moved(drafts)
        names: list[Word] = [keys.meta, keys.log, keys.marks, keys.due, keys.gone]
        names += [keys.record(*one.draft.name) for one in drafts]
        names += [keys.index(*place) for place in indexes]
        words: list[Word] = [len(names), *names]
        words += (bounds.length, bounds.size, bounds.longest, bounds.longest)
        words += (bookmark, len(drafts), len(indexes), GONE_MOST, moves)
        for one in drafts:
            draft = one.draft
            words += (
                f"{draft.old.rev} {draft.old.first}" if draft.old else "",
                b"" if draft.gone else pack(draft.record),
                one.ttl,
                draft.field(),
                draft.name[1],
                draft.first,
                one.due,
            )
        for command in commands:
            words += (len(command), *command)
        return words


def _moved(drafts: Sequence[Stored]) -> tuple[list[Place], bytes]:
    """Return the places that change, and for each which drafts enter and leave it."""
    moves: dict[Place, tuple[list[int], list[int]]] = {}
    for number, one in enumerate(drafts, 1):
        enters, leaves = one.draft.moves()
        # Also where it stays: the index must outlive it.
        for place in one.draft.places:
            if place not in moves:
                moves[place] = ([], [])
        for place in enters:
            moves[place][0].append(number)
        for place in leaves:
            moves.setdefault(place, ([], []))[1].append(number)
    return list(moves), _moves.encode(list(moves.values()))


def _outcome(
    drafts: Sequence[Stored], end: bytes, opened: bool, refused: set[int]
) -> Outcome:
    cursor = parse_cursor(end.decode()) if end else START
    out, place = Outcome(cursor, opened), str(cursor)
    for number, one in enumerate(drafts):
        if number in refused:
            out.refused.append(one.draft)
        else:
            rev = f"{place}.{len(out.known)}"
            out.known[one.draft.name] = one.draft.known(rev)
    return out
