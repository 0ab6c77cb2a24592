"""`scripts/store.lua` and its words: drafts in, what became of them out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from herald_monitor.batch import Draft, Known, Name, in_ms
from herald_monitor.model.changes import TASK
from herald_monitor.model.cursor import START, Cursor, parse_cursor
from herald_monitor.model.keys import Keys
from herald_monitor.model.numbers import NONE
from herald_monitor.model.rollups import MINUTES_FOR, MOST_PARTS, OTHER
from herald_monitor.model.shape import TaskImage
from herald_monitor.records import pack
from herald_monitor.redis_link import Link, Word
from herald_monitor.redis_minutes import MinuteWords
from herald_monitor.redis_places import moves_of
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
    changes: int = 0
    known: dict[Name, Known] = field(default_factory=dict[Name, Known])
    refused: list[Draft] = field(default_factory=list[Draft])


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
        minutes = MinuteWords([one.draft.tally() for one in drafts], now, keys)
        names: list[Word] = [keys.meta, keys.log, keys.marks, keys.due, keys.gone]
        names += [keys.seq, keys.chunks, keys.counts]
        names += minutes.keys
        words: list[Word] = [len(names), *names]
        words += (bounds.length, bounds.size, bounds.longest, bounds.longest)
        words += (bookmark, len(drafts), keys.segments, GONE_MOST)
        words.append(moves_of([one.draft for one in drafts], keys))
        words += (MOST_PARTS + 1, OTHER, MINUTES_LIVE, minutes.sums, minutes.shares)
        words += (in_ms(now), self._about(drafts))
        for one in drafts:
            words += (one.draft.field(), _body(one))
        for command in commands:
            words += (len(command), *command)
        return words

    def _about(self, drafts: Sequence[Stored]) -> bytes:
        """Return the short words of all records as one."""
        told: list[Word] = []
        for one in drafts:
            draft = one.draft
            kind, id_ = draft.name
            told += (
                draft.old.rev if draft.old else "",
                draft.number if kind == TASK else NO_TASK,
                self._keys.record(kind, ""),
                id_,
                str(one.ttl),
                one.due,
            )
        return _pack(told)


def _body(stored: Stored) -> bytes:
    draft = stored.draft
    if draft.gone:
        return b""
    small = isinstance(draft.image, TaskImage) and draft.image.final
    before = f"{draft.first} {stored.due or 0}\n"
    return before.encode() + pack(draft.record, small)


def _told(
    out: Outcome, drafts: Sequence[Stored], first: int, refused: set[int]
) -> Outcome:
    """Return `out` with what became of `drafts`; `first` is the next new number."""
    place, rank = str(out.end), 0
    for number, one in enumerate(drafts):
        draft = one.draft
        if number in refused:
            out.refused.append(draft)
            continue
        own = NONE
        if draft.name[0] == TASK and draft.number == NONE:
            own, first = first, first + 1
        out.known[draft.name] = draft.known(f"{place}.{rank}", own)
        if not draft.quiet:
            rank += 1
    out.changes = rank
    return out
