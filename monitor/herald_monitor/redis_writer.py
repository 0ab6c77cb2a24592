"""Writer on Redis: read, merge, compare and set. Two round trips a batch.

What was stored lately is remembered with its rev, so a batch about known tasks
takes one round trip. A remembered record that is out of date costs a refusal by
the script, and a second round; never a wrong write.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import islice

from herald_monitor.batch import (
    GAPS,
    WORKERS,
    Draft,
    Known,
    Name,
    Place,
    Shown,
    Wish,
    aging,
    forgetting,
    missing,
    recording,
    wishes_of_events,
    wishes_of_workers,
)
from herald_monitor.errors import StoreError
from herald_monitor.model.changes import GAP, TASK, WORKER
from herald_monitor.model.codec import pack
from herald_monitor.model.cursor import START, Cursor, parse_cursor
from herald_monitor.model.events import Event
from herald_monitor.model.filters import GLOBS
from herald_monitor.model.keys import Keys
from herald_monitor.model.shape import STATES, TaskImage, unix
from herald_monitor.model.workers import Worker
from herald_monitor.redis_link import Link, Word
from herald_monitor.redis_records import known
from herald_monitor.redis_script import (
    ALWAYS,
    Bounds,
    Outcome,
    Stored,
    StoreScript,
)
from herald_monitor.store import Gap, MonitorImage, Receipt

BATCH = 250
"""Changes in one step: more would keep Redis from others for too long."""

ROUNDS = 100
"""Times that others may be faster on one record before we say so."""

CACHED = 20_000
WORKERS_FOR = 86_400.0
GAPS_FOR = 7 * 86_400.0
MONITORS_FOR = 15
"""Seconds that records of workers, gaps and monitors are kept."""

MONITOR = "m"
LISTED = {WORKER: WORKERS, GAP: GAPS}

FEW = 25
"""Tasks that are taken out of every index in one step."""

VALUES = (*GLOBS, "tag")
"""Index keys whose values are listed, for globs and for clearing up."""


class Cache:
    """What was stored lately, the least used forgotten first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: dict[Name, Known] = {}

    def get(self, name: Name) -> Known | None:
        """Return what is remembered of `name`, as used just now."""
        known = self._known.pop(name, None)
        if known is not None:
            self._known[name] = known
        return known

    def put(self, name: Name, known: Known) -> None:
        """Remember `known`."""
        self._known.pop(name, None)
        self._known[name] = known
        if len(self._known) > self._most:
            del self._known[next(iter(self._known))]

    def drop(self, name: Name) -> None:
        """Forget `name`."""
        self._known.pop(name, None)

    def clear(self) -> None:
        """Forget all."""
        self._known.clear()


class RedisWriter:
    """The `Writer` port on Redis."""

    def __init__(
        self, link: Link, keys: Keys, bounds: Bounds, *, cached: int = CACHED
    ) -> None:
        self._link = link
        self._keys = keys
        self._bounds = bounds
        self._script = StoreScript(link, keys, bounds)
        self._cache = Cache(cached)
        self._alone = asyncio.Lock()
        self._beaten: Cursor | None = None
        self._known_end: Cursor | None = None

    async def store(
        self, events: Sequence[Event], workers: Sequence[Worker] = (), *, now: float
    ) -> Receipt:
        wishes = wishes_of_workers(workers, now) | wishes_of_events(events, now)
        return await self._grant(wishes, now)

    async def open_gap(self, gap: Gap) -> Receipt:
        return await self._grant({(GAP, gap.id): recording(gap)}, unix(gap.since))

    async def beat(self, monitor: MonitorImage, *, now: float) -> Receipt:
        wishes = {name: aging(now) for name in await self._listed_as(WORKERS)}
        receipt = await self._grant(wishes, now)
        async with self._alone:
            bookmark = ALWAYS if self._beaten is None else str(self._beaten)
            out = await self._script.run([], self._monitor(monitor, now), bookmark)
            self._beaten = out.end
        return Receipt(out.end, receipt.changes)

    def _monitor(self, monitor: MonitorImage, now: float) -> list[list[Word]]:
        living = self._keys.values(MONITOR)
        key = self._keys.record(MONITOR, monitor.id)
        return [
            ["SET", key, pack(monitor), "EX", MONITORS_FOR],
            ["ZADD", living, repr(now), monitor.id],
            ["ZREMRANGEBYSCORE", living, "-inf", repr(now - 10 * MONITORS_FOR)],
            ["EXPIRE", living, self._bounds.longest],
        ]

    # -- one batch ------------------------------------------------------------

    async def _grant(self, wishes: dict[Name, Wish], now: float) -> Receipt:
        """Store what `wishes` come to, step by step."""
        left = iter(wishes.items())
        changes, end = 0, None
        async with self._alone:
            while part := dict(islice(left, BATCH)):
                stored, end = await self._grant_part(part, now)
                changes += stored
            return Receipt(end or await self._end(), changes)

    async def _grant_part(
        self, wishes: dict[Name, Wish], now: float
    ) -> tuple[int, Cursor]:
        changes, left = 0, wishes
        for _ in range(ROUNDS):
            drafts = await self._drafts(left)
            out = await self._write(drafts, now) if drafts else None
            end = out.end if out else await self._end()
            changes += len(out.known) if out else 0
            if self._is_other_history(end):
                # What we remember was lost with the old one, and so may be what
                # we held for known.
                self._cache.clear()
                left = wishes
            elif not out or not out.refused:
                return changes, end
            else:
                left = {draft.name: wishes[draft.name] for draft in out.refused}
        raise StoreError(
            f"others changed the same records {ROUNDS} times in a row in the store "
            f"at {self._link.name}; see that not too many monitors share it"
        )

    def _is_other_history(self, end: Cursor) -> bool:
        """Note where the log ends; say whether it is not the log that we knew."""
        known, self._known_end = self._known_end, end
        return known is not None and (known.epoch != end.epoch or end < known)

    async def _drafts(self, wishes: dict[Name, Wish]) -> list[Draft]:
        known = {name: self._cache.get(name) for name in wishes}
        unknown = [name for name, one in known.items() if one is None]
        known.update(await self._fetch(unknown))
        return [d for name, wish in wishes.items() if (d := wish(known[name]))]

    async def _fetch(self, names: Sequence[Name]) -> dict[Name, Known | None]:
        if not names:
            return {}
        found = await self._link.call("MGET", *(self._keys.record(*n) for n in names))
        return {
            name: known(name[0], stored) if stored else None
            for name, stored in zip(names, found, strict=True)
        }

    async def _write(self, drafts: Sequence[Draft], now: float) -> Outcome:
        stored = [self._timed(draft, now) for draft in drafts]
        # Forgotten first: if the answer is lost, nobody knows what is stored.
        for draft in drafts:
            self._cache.drop(draft.name)
        out = await self._script.run(stored, self._listed(drafts, now))
        for name, one in out.known.items():
            self._cache.put(name, one)
        return out

    def _timed(self, draft: Draft, now: float) -> Stored:
        bounds = self._bounds
        if isinstance(draft.image, TaskImage):
            life = bounds.retention if draft.image.final else bounds.unfinished
            due = str(round((now + life) * 1000))
            return Stored(draft, int(life + bounds.slack), due)
        life = WORKERS_FOR if draft.name[0] == WORKER else GAPS_FOR
        return Stored(draft, int(life + bounds.slack))

    def _listed(self, drafts: Sequence[Draft], now: float) -> list[list[Word]]:
        """Return the commands that list the values of index keys."""
        lists: dict[str, dict[str, None]] = {key: {} for key in VALUES}
        for draft in drafts:
            for key, value in draft.places:
                if key in lists:
                    lists[key][value] = None
        commands: list[list[Word]] = []
        for kind, values in lists.items():
            if values:
                key = self._keys.values(kind)
                pairs = [word for value in values for word in (repr(now), value)]
                commands.append(["ZADD", key, *pairs])
                commands.append(["EXPIRE", key, self._bounds.longest])
        return commands

    async def _end(self) -> Cursor:
        end = await self._link.call("HGET", self._keys.meta, "end")
        return parse_cursor(end.decode()) if end else START

    async def _listed_as(self, place: Place, until: str = "+inf") -> list[Name]:
        key = self._keys.index(*place)
        ids = await self._link.call("ZRANGEBYSCORE", key, "-inf", until)
        return [(place[0], id_.decode()) for id_ in ids]

    # -- forgetting -------------------------------------------------------------

    async def sweep(self, *, now: float, most: int = 500) -> int:
        await self._sweep_workers(now - WORKERS_FOR)
        await self._sweep_gaps(now - GAPS_FOR)
        await self._trim_values(now)
        swept = 0
        while swept < most:
            over = ("-inf", _ms(now), "LIMIT", 0, min(BATCH, most - swept))
            due = await self._link.call("ZRANGEBYSCORE", self._keys.due, *over)
            names = [(TASK, id_.decode()) for id_ in due]
            forgotten = await self._forget_tasks(names, now) if names else 0
            swept += forgotten
            if not forgotten:
                break
        return swept

    async def _forget_tasks(self, names: Sequence[Name], now: float) -> int:
        async with self._alone:
            found = await self._fetch(names)
            # Asked for after the records: whoever changed one of them since is
            # refused by its rev, and who changed one before has moved its time.
            ids = [id_ for _, id_ in names]
            scores = await self._link.call("ZMSCORE", self._keys.due, *ids)
            pairs = zip(names, scores, strict=True)
            over = [n for n, at in pairs if at and float(at) <= float(_ms(now))]
            wishes = {name: forgetting(name, _always) for name in over}
            drafts = [d for n in over if (d := wishes[n](found[n]))]
            done = await self._forget(drafts, _ms(now))
            return done + await self._clear_up([n for n in over if not found[n]], now)

    async def _forget(self, drafts: Sequence[Draft], gone: str = "") -> int:
        if not drafts:
            return 0
        for draft in drafts:
            self._cache.drop(draft.name)
        stored = [Stored(draft, 0, gone) for draft in drafts]
        return len((await self._script.run(stored, allow_oom=True)).known)

    async def _sweep_workers(self, until: float) -> None:
        def due(known: Known) -> bool:
            return isinstance(known.record, Shown) and (
                known.record.worker.last.at <= until
            )

        await self._sweep_listed(await self._listed_as(WORKERS), due)

    async def _sweep_gaps(self, until: float) -> None:
        await self._sweep_listed(await self._listed_as(GAPS, _ms(until)), _always)

    async def _sweep_listed(
        self, names: Sequence[Name], due: Callable[[Known], bool]
    ) -> None:
        async with self._alone:
            for from_ in range(0, len(names), BATCH):
                found = await self._fetch(names[from_ : from_ + BATCH])
                drafts = [d for n, k in found.items() if (d := forgetting(n, due)(k))]
                drafts += [
                    missing(n, (LISTED[n[0]],)) for n, k in found.items() if k is None
                ]
                await self._forget(drafts)

    async def _trim_values(self, now: float) -> None:
        """Forget values of index keys that no record can have any more."""
        until = repr(now - self._bounds.longest)
        await self._link.calls(
            [
                ("ZREMRANGEBYSCORE", self._keys.values(key), "-inf", until)
                for key in VALUES
            ]
        )

    async def _clear_up(self, names: Sequence[Name], now: float) -> int:
        """Take tasks out of all indexes whose records ran out before any sweep.

        That is so if no monitor lived for a day. Indexes by root, parent and
        group are not listed; they run out with the last of their tasks.
        """
        if not names:
            return 0
        places: list[Place] = [("state", state) for state in STATES]
        for key in VALUES:
            values = await self._link.call("ZRANGE", self._keys.values(key), 0, -1)
            places += [(key, value.decode()) for value in values]
        done = 0
        for from_ in range(0, len(names), FEW):
            part = names[from_ : from_ + FEW]
            drafts = [missing(name, tuple(places)) for name in part]
            done += await self._forget(drafts, _ms(now))
        return done


def _always(_: Known) -> bool:
    return True


def _ms(at: float) -> str:
    return str(round(at * 1000))
