"""What runs out in the store on Redis: swept up, and announced as gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from herald_monitor.batch import (
    GAPS,
    WORKERS,
    Draft,
    Known,
    Name,
    Place,
    Shown,
    forgetting,
    missing,
)
from herald_monitor.model.changes import GAP, TASK, WORKER
from herald_monitor.model.filters import GLOBS
from herald_monitor.model.keys import Keys
from herald_monitor.model.shape import STATES
from herald_monitor.redis_link import Link
from herald_monitor.redis_records import known
from herald_monitor.redis_script import Bounds, Stored, StoreScript
from herald_monitor.store import MOST_GAPS

BATCH = 250
"""Changes in one step: more would keep Redis from others for too long."""

WORKERS_FOR = 86_400.0
GAPS_FOR = 7 * 86_400.0
"""Seconds that records of workers and gaps are kept."""

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


class RedisSweeper:
    """The part of a `Writer` that reads records, and forgets them."""

    def __init__(self, link: Link, keys: Keys, bounds: Bounds, *, cached: int) -> None:
        self._link = link
        self._keys = keys
        self._bounds = bounds
        self._script = StoreScript(link, keys, bounds)
        self._cache = Cache(cached)
        self._alone = asyncio.Lock()

    async def _fetch(self, names: Sequence[Name]) -> dict[Name, Known | None]:
        if not names:
            return {}
        found = await self._link.call("MGET", *(self._keys.record(*n) for n in names))
        return {
            name: known(name[0], stored) if stored else None
            for name, stored in zip(names, found, strict=True)
        }

    async def _listed_as(self, place: Place, until: str = "+inf") -> list[Name]:
        key = self._keys.index(*place)
        ids = await self._link.call("ZRANGEBYSCORE", key, "-inf", until)
        return [(place[0], id_.decode()) for id_ in ids]

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
        over = await self._listed_as(GAPS, _ms(until))
        # Scored by when they began, so that the oldest are too many.
        ids = await self._link.call(
            "ZRANGE", self._keys.index(*GAPS), 0, -MOST_GAPS - 1
        )
        too_many = [(GAP, id_.decode()) for id_ in ids]
        await self._sweep_listed(list(dict.fromkeys([*over, *too_many])), _always)

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
