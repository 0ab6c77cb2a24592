"""Writer on Redis: read, merge, compare and set. Two round trips a batch.

What was stored lately is remembered with its rev, so a batch about known tasks
takes one round trip. A remembered record that is out of date costs a refusal by
the script, and a second round; never a wrong write.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from itertools import islice

from herald_monitor.batch import WORKERS, Known, Name, Wish, in_ms
from herald_monitor.errors import StoreError
from herald_monitor.model.changes import GAP, QUEUE, WORKER
from herald_monitor.model.cursor import START, Cursor, parse_cursor
from herald_monitor.model.events import Event
from herald_monitor.model.keys import Keys
from herald_monitor.model.queues import QueueImage
from herald_monitor.model.shape import TaskImage, unix
from herald_monitor.model.workers import Worker
from herald_monitor.records import pack
from herald_monitor.redis_drafts import Stored, stored_as
from herald_monitor.redis_link import Link, Word
from herald_monitor.redis_script import ALWAYS, Bounds, Outcome
from herald_monitor.redis_sweeper import (
    GAPS_FOR,
    RedisSweeper,
)
from herald_monitor.redis_texts import source_of
from herald_monitor.store import QUEUES_FOR, Gap, MonitorImage, Receipt
from herald_monitor.wishes import (
    aging,
    begins,
    gauging,
    recording,
    wishes_of_events,
    wishes_of_workers,
)

ROUNDS = 100
"""Times that others may be faster on one record before we say so."""

STEP = 256
"""Changes that one script stores, while we draft the next. Half as many cost Redis
a fifth more for an event; twice as many leave nothing to do at the same time, if
nobody else stores anything."""

PART = 2_000
"""Records that are looked up, drafted and stored in one go, so that Redis and we
wait for each other once in so many."""

DOUBT = 30.0
"""Seconds without guesses after many were wrong: another monitor hears the same, and
is faster."""

CACHED = 8_000
"""Records that are remembered between batches."""

MONITOR = "m"
MONITORS_FOR = 15
"""Seconds that a monitor counts as living after its last beat."""


class RedisWriter(RedisSweeper):
    """The `Writer` port on Redis."""

    def __init__(
        self,
        link: Link,
        keys: Keys,
        bounds: Bounds,
        *,
        cached: int = CACHED,
        step: int = STEP,
    ) -> None:
        super().__init__(link, keys, bounds, cached=cached)
        self._step = step
        self._beaten: Cursor | None = None
        self._known_end: Cursor | None = None
        self._doubts_until = 0.0

    async def store(
        self, events: Sequence[Event], workers: Sequence[Worker] = (), *, now: float
    ) -> Receipt:
        wishes = wishes_of_workers(workers, now) | wishes_of_events(events, now)
        return await self._grant(wishes, now)

    async def open_gap(self, gap: Gap) -> Receipt:
        return await self._grant({(GAP, gap.id): recording(gap)}, unix(gap.since))

    async def gauge(self, queues: Sequence[QueueImage], *, now: float) -> Receipt:
        return await self._grant({(QUEUE, one.id): gauging(one) for one in queues}, now)

    async def beat(self, monitor: MonitorImage, *, now: float) -> Receipt:
        aged = aging(now, monitor.behind_since)
        wishes = dict.fromkeys(await self._listed_as(WORKERS), aged)
        receipt = await self._grant(wishes, now)
        async with self._alone:
            bookmark = ALWAYS if self._beaten is None else str(self._beaten)
            commands = self._monitor(monitor, now)
            out = await self._script.run([], commands, bookmark, now=now)
            self._beaten = out.end
        return Receipt(out.end, receipt.changes)

    async def lease(self, work: str, owner: str, seconds: float) -> bool:
        sha, source = source_of("lease.lua")
        words = (1, self._keys.lease(work), owner, max(round(seconds * 1000), 1))
        return bool(await self._link.script(sha, source, words))

    def _monitor(self, monitor: MonitorImage, now: float) -> list[list[Word]]:
        living = self._keys.values(MONITOR)
        key = self._keys.record(MONITOR, monitor.id)
        return [
            ["SET", key, pack(monitor), "EX", MONITORS_FOR],
            ["ZADD", living, repr(now), monitor.id],
            ["ZREMRANGEBYSCORE", living, "-inf", repr(now - 10 * MONITORS_FOR)],
            ["EXPIRE", living, self._bounds.longest],
        ]

    async def _grant(self, wishes: dict[Name, Wish], now: float) -> Receipt:
        """Store what `wishes` come to, step by step."""
        left = iter(wishes.items())
        changes, end = 0, None
        async with self._alone:
            while part := dict(islice(left, PART)):
                stored, end = await self._grant_part(part, now)
                changes += stored
            return Receipt(end or await self._end(), changes)

    async def _grant_part(
        self, wishes: dict[Name, Wish], now: float
    ) -> tuple[int, Cursor]:
        changes, left = 0, wishes
        for round_ in range(ROUNDS):
            guess = round_ == 0 and now >= self._doubts_until
            known = await self._known(left, guess=guess)
            outs = await self._write_by_steps(left, known, now)
            ends = [out.end for out in outs] or [await self._end()]
            changes += sum(out.changes for out in outs)
            refused = [name for out in outs for name in out.refused]
            if guess and 4 * len(refused) > len(left):
                self._doubts_until = now + DOUBT
            # A list: each of them is to be noted.
            if any([self._is_other_history(end) for end in ends]):
                # What we remember was lost with the old one, and so may be what
                # we held for known.
                self._cache.clear()
                left = wishes
            elif not refused:
                return changes, ends[-1]
            else:
                left = {name: wishes[name] for name in refused}
        raise StoreError(
            f"others changed the same records {ROUNDS} times in a row in the store "
            f"at {self._link.name}; see that not too many monitors share it"
        )

    async def _write_by_steps(
        self, wishes: dict[Name, Wish], known: dict[Name, Known | None], now: float
    ) -> list[Outcome]:
        """Store what `wishes` come to; make one step while Redis stores the last.

        No two wishes are about one record, so no step needs the one before it.
        """
        left, outs = iter(wishes.items()), list[Outcome]()
        writing: asyncio.Task[Outcome] | None = None
        try:
            while step := list(islice(left, self._step)):
                stored = self._made(step, known, now)
                words = self._script.words(stored, now=now)
                if writing is not None:
                    outs.append(await writing)
                    writing = None
                if len(step) < self._step and stored:
                    # The last: there is nothing to do meanwhile.
                    outs.append(await self._write(stored, words))
                elif stored:
                    writing = asyncio.create_task(self._write(stored, words))
                    await _let_it_begin()
                else:
                    await asyncio.sleep(0)
            if writing is not None:
                outs.append(await writing)
            return outs
        except BaseException:
            if writing is not None:
                writing.cancel()
                await asyncio.gather(writing, return_exceptions=True)
            raise

    def _is_other_history(self, end: Cursor) -> bool:
        """Note where the log ends; say whether it is not the log that we knew."""
        known, self._known_end = self._known_end, end
        return known is not None and (known.epoch != end.epoch or end < known)

    async def _known(
        self, wishes: dict[Name, Wish], *, guess: bool
    ) -> dict[Name, Known | None]:
        """Return what is stored of each, or may be.

        A `guess` is that nothing is of what has only begun and is not remembered.
        If that is wrong, the script refuses it, and it is looked up.
        """
        known = {name: self._cache.get(name) for name in wishes}
        unknown = [
            name
            for name, one in known.items()
            if one is None and not (guess and begins(wishes[name]))
        ]
        known.update(await self._fetch(unknown))
        return known

    async def _write(self, stored: Sequence[Stored], words: Sequence[Word]) -> Outcome:
        # Forgotten first: if the answer is lost, nobody knows what is stored.
        for one in stored:
            self._cache.drop(one.name)
        out = await self._script.say(stored, words)
        for name, known in out.known.items():
            self._cache.put(name, known)
        return out

    def _made(
        self,
        step: Sequence[tuple[Name, Wish]],
        known: Mapping[Name, Known | None],
        now: float,
    ) -> list[Stored]:
        """Return what a step comes to."""
        bounds = self._bounds
        over, going = (
            self._life(bounds.retention, now),
            self._life(bounds.unfinished, now),
        )
        lives = {WORKER: bounds.workers, QUEUE: QUEUES_FOR}
        stored: list[Stored] = []
        for name, wish in step:
            draft = wish(known[name])
            if draft is None:
                continue
            if isinstance(draft.image, TaskImage):
                stored.append(stored_as(draft, *(over if draft.image.final else going)))
            else:
                life = lives.get(name[0], GAPS_FOR)
                stored.append(stored_as(draft, int(life + bounds.slack)))
        return stored

    def _life(self, seconds: float, now: float) -> tuple[int, str]:
        """Return the TTL of a task that is kept so long, and when it runs out."""
        return int(seconds + self._bounds.slack), in_ms(now + seconds)

    async def _end(self) -> Cursor:
        end = await self._link.call("HGET", self._keys.meta, "end")
        return parse_cursor(end.decode()) if end else START


async def _let_it_begin() -> None:
    """Let a command that was just started get onto its line before we go on.

    redis-py takes four turns of the loop to see that its line is sound; without
    them the server would be idle while we draft. Nothing but time depends on it.
    """
    for _ in range(5):
        await asyncio.sleep(0)
