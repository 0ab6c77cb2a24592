"""`scripts/store.lua` and its words: drafts in, what became of them out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from herald_monitor.batch import Known, Name, Place, in_ms
from herald_monitor.model.changes import TASK
from herald_monitor.model.cursor import START, Cursor, parse_cursor
from herald_monitor.model.keys import BOUNDED, DEFAULT_APART, Apart, Keys
from herald_monitor.model.rollups import MINUTES_FOR, MOST_PARTS, OTHER
from herald_monitor.model.workers import FORGET_AFTER
from herald_monitor.redis_drafts import Stored
from herald_monitor.redis_link import Link, Word
from herald_monitor.redis_minutes import MinuteWords
from herald_monitor.redis_places import Move, moves_of, packed, values_in
from herald_monitor.redis_texts import ALLOW_OOM, source_of

GONE_MOST = 100_000
"""Ids that are remembered as expired."""

MINUTES_LIVE = MINUTES_FOR + 3_600
"""Seconds that a minute outlives what was last added to it."""

NO_TASK = -2
"""What the script is told as the number of what is no task."""

ALWAYS = ""
NEVER = "-"


_pack = msgspec.msgpack.Encoder().encode


@dataclass(frozen=True)
class Bounds:
    """How much is kept: seconds, entries of the log, bytes of the log."""

    retention: float
    unfinished: float
    length: int
    size: int
    workers: float = FORGET_AFTER
    slack: float = 86_400.0
    """Seconds that a record outlives its time, so that a sweep announces its end."""
    apart: Apart = DEFAULT_APART

    @property
    def longest(self) -> int:
        """Seconds that no record outlives."""
        return int(max(self.retention, self.unfinished, self.workers) + self.slack)


@dataclass
class Outcome:
    """What a script did. `refused` are those on which another was faster.

    `known` is what it stored; of finished tasks, as it is stored.
    """

    end: Cursor
    opened: bool
    changes: int = 0
    known: dict[Name, Known | bytes] = field(default_factory=dict[Name, Known | bytes])
    refused: list[Name] = field(default_factory=list[Name])


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
        *,
        now: float,
        allow_oom: bool = False,
    ) -> Outcome:
        """Store `drafts` in one step, then run `commands` in the same."""
        words = self.words(drafts, commands, bookmark, now=now)
        return await self.say(drafts, words, allow_oom=allow_oom)

    async def say(
        self,
        drafts: Sequence[Stored],
        words: Sequence[Word],
        *,
        allow_oom: bool = False,
    ) -> Outcome:
        """Run the script with the `words` for `drafts`."""
        # Forgetting must work in a full store: it is what makes room.
        sha, source = source_of("store.lua", ALLOW_OOM if allow_oom else "")
        end, opened, first, *refused = await self._link.script(sha, source, words)
        cursor = parse_cursor(end.decode()) if end else START
        out = Outcome(cursor, bool(opened))
        return _told(out, drafts, int(first), {int(n) - 1 for n in refused})

    def words(
        self,
        drafts: Sequence[Stored],
        commands: Sequence[Sequence[Word]] = (),
        bookmark: str = NEVER,
        *,
        now: float,
    ) -> list[Word]:
        """Return what the script is told to store `drafts`."""
        keys, bounds = self._keys, self._bounds
        minutes = MinuteWords([one.tally for one in drafts], now, keys)
        names: list[Word] = [keys.meta, keys.log, keys.marks, keys.due, keys.gone]
        names += [keys.seq, keys.chunks, keys.counts]
        names += minutes.keys
        words: list[Word] = [len(names), *names]
        words += (bounds.length, bounds.size, bounds.longest, bounds.longest)
        words += (bookmark, len(drafts), keys.segments, GONE_MOST)
        moves = moves_of(drafts)
        words.append(packed(moves, drafts, keys, bounds.apart))
        words += (MOST_PARTS + 1, OTHER, MINUTES_LIVE, minutes.sums, minutes.shares)
        words += (in_ms(now), self._about(drafts))
        for one in drafts:
            words += (one.field, one.body)
        for command in (*self._listed(moves, now), *commands):
            words += (len(command), *command)
        return words

    def _listed(self, moves: Mapping[Place, Move], now: float) -> list[list[Word]]:
        """Return the commands that date the values of index keys."""
        commands: list[list[Word]] = []
        for kind, values in values_in(moves).items():
            key = self._keys.values(kind)
            pairs = [word for value in values for word in (repr(now), value)]
            # Whether a value of a bounded key is listed, the script has decided.
            only = ["XX"] if kind in BOUNDED else []
            commands.append(["ZADD", key, *only, *pairs])
            commands.append(["EXPIRE", key, self._bounds.longest])
        return commands

    def _about(self, drafts: Sequence[Stored]) -> bytes:
        """Return the short words of all records as one."""
        told: list[Word] = []
        heads: dict[str, str] = {}
        for one in drafts:
            kind, id_ = one.name
            head = heads.get(kind)
            if head is None:
                head = heads[kind] = self._keys.record(kind, "")
            told += (
                one.old,
                one.number if kind == TASK else NO_TASK,
                head,
                id_,
                one.ttl,
                one.due,
            )
        return _pack(told)


def _told(
    out: Outcome, drafts: Sequence[Stored], first: int, refused: set[int]
) -> Outcome:
    """Return `out` with what became of `drafts`; `first` is the next new number."""
    place, rank = str(out.end), 0
    for at, one in enumerate(drafts):
        if at in refused:
            out.refused.append(one.name)
            continue
        number = one.number
        if one.new:
            number, first = first, first + 1
        if not one.long:
            out.known[one.name] = one.remembered(f"{place}.{rank}", number)
        if one.field:
            rank += 1
    out.changes = rank
    return out
