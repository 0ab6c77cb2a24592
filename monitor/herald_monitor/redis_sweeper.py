"""What runs out in the store on Redis: swept up, and announced as gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple

from herald_monitor.batch import (
    GAPS,
    QUEUES,
    WORKERS,
    Draft,
    Known,
    Name,
    Place,
    Shown,
    in_ms,
    missing,
)
from herald_monitor.model.changes import GAP, QUEUE, TASK, WORKER
from herald_monitor.model.keys import BOUNDED, Keys
from herald_monitor.model.numbers import CHUNK
from herald_monitor.model.queues import QueueImage
from herald_monitor.model.shape import STATES, unix
from herald_monitor.redis_cache import Cache
from herald_monitor.redis_drafts import stored_as
from herald_monitor.redis_link import Link
from herald_monitor.redis_places import DATED
from herald_monitor.redis_records import known
from herald_monitor.redis_script import (
    Bounds,
    StoreScript,
)
from herald_monitor.redis_texts import ALLOW_OOM, source_of
from herald_monitor.store import MOST_GAPS, MOST_GROUPS, QUEUES_FOR
from herald_monitor.wishes import (
    dismissing,
    forgetting,
    is_expired,
    is_only_submitted,
    worker_state,
)

BATCH = 250
"""Changes in one step: more would keep Redis from others for too long."""

GAPS_FOR = 7 * 86_400.0
"""Seconds that records of gaps are kept."""

LISTED = {WORKER: WORKERS, GAP: GAPS, QUEUE: QUEUES}

FEW = 25
"""Tasks that are taken out of every index in one step."""

SEGMENTS = 1
"""Segments of numbers that are looked through, and forgotten, in one step: events
that come in wait for no more than one."""


class Due(NamedTuple):
    """A task whose time is over. `astray`: its id has another number by now."""

    number: int
    id: str
    astray: bool


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
        await self._sweep_workers(now)
        await self._sweep_gaps(now - GAPS_FOR)
        await self._sweep_queues(now - QUEUES_FOR)
        await self._trim_values(now)
        swept = 0
        while swept < most:
            looked, due = await self._due(now)
            if not looked:
                break
            if due:
                forgotten = await self._forget_tasks(due[: most - swept], now)
                swept += forgotten
                if not forgotten:
                    break  # others are about it, or changed it
        return swept

    async def withdraw(self, ids: Sequence[str]) -> int:
        names = [(TASK, id_) for id_ in dict.fromkeys(ids)]
        done = 0
        async with self._alone:
            for from_ in range(0, len(names), BATCH):
                found = await self._fetch(names[from_ : from_ + BATCH])
                wishes = {n: forgetting(n, is_only_submitted) for n in found}
                drafts = [d for n, k in found.items() if (d := wishes[n](k))]
                done += await self._forget(drafts)
        return done

    async def _due(self, now: float) -> tuple[int, list[Due]]:
        """Return how many segments were looked through, and tasks that are over."""
        keys = self._keys
        sha, source = source_of("due.lua", ALLOW_OOM)
        words = (1, keys.due, keys.segments, keys.tasks, in_ms(now), SEGMENTS)
        looked, *told = await self._link.script(sha, source, words)
        return int(looked), [
            Due(int(told[i]), told[i + 1].decode(), bool(told[i + 2]))
            for i in range(0, len(told), 3)
        ]

    async def _forget_tasks(self, due: Sequence[Due], now: float) -> int:
        async with self._alone:
            found = await self._fetch([(TASK, one.id) for one in due])
            drafts: list[Draft] = []
            unknown: list[Due] = []
            for one in due:
                known = found[TASK, one.id]
                if known is None or one.astray:
                    unknown.append(one)
                # Whoever changed it since has moved its time, or is refused below.
                elif float(known.due) <= now * 1000:
                    wish = forgetting((TASK, one.id), _always)
                    drafts += [draft] if (draft := wish(known)) else []
            done = await self._forget(drafts, in_ms(now))
            return done + await self._clear_up(unknown, now)

    async def _forget(self, drafts: Sequence[Draft], gone: str = "") -> int:
        if not drafts:
            return 0
        for draft in drafts:
            self._cache.drop(draft.name)
        stored = [stored_as(draft, 0, gone) for draft in drafts]
        # Nothing that is forgotten adds to a minute, so no time matters.
        out = await self._script.run(stored, now=0.0, allow_oom=True)
        return len(stored) - len(out.refused)

    async def dismiss(self, hostname: str, *, now: float) -> str | None:
        name: Name = (WORKER, hostname)
        wish = dismissing(hostname, now)
        async with self._alone:
            # Whoever changes the record meanwhile has it refused, and looked at again.
            while (known := (await self._fetch([name]))[name]) is not None:
                draft = wish(known)
                if draft is None or await self._forget([draft]):
                    return worker_state(known, now)
        return None

    async def _sweep_workers(self, now: float) -> None:
        forget_after = self._bounds.workers

        def due(known: Known) -> bool:
            return isinstance(known.record, Shown) and (
                is_expired(known.record.worker, now, forget_after)
            )

        await self._sweep_listed(await self._listed_as(WORKERS), due)

    async def _sweep_gaps(self, until: float) -> None:
        over = await self._listed_as(GAPS, in_ms(until))
        # Scored by when they began, so that the oldest are too many.
        ids = await self._link.call(
            "ZRANGE", self._keys.index(*GAPS), 0, -MOST_GAPS - 1
        )
        too_many = [(GAP, id_.decode()) for id_ in ids]
        await self._sweep_listed(list(dict.fromkeys([*over, *too_many])), _always)

    async def _sweep_queues(self, until: float) -> None:
        def due(known: Known) -> bool:
            return isinstance(known.record, QueueImage) and (
                unix(known.record.as_of) <= until
            )

        await self._sweep_listed(await self._listed_as(QUEUES), due)

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
        groups = self._keys.values("group")
        await self._link.calls(
            [
                *(
                    ("ZREMRANGEBYSCORE", self._keys.values(key), "-inf", until)
                    for key in DATED
                ),
                ("ZREMRANGEBYRANK", groups, 0, -MOST_GROUPS - 1),
            ]
        )

    async def _clear_up(self, due: Sequence[Due], now: float) -> int:
        """Take tasks out of all indexes whose records ran out before any sweep.

        That is so if no monitor lived for a day. Lists by root, parent and group
        are not known; they run out with the last of their tasks.
        """
        if not due:
            return 0
        places: list[Place] = [("state", state) for state in STATES]
        for key in BOUNDED:
            values = await self._link.call("ZRANGE", self._keys.values(key), 0, -1)
            places += [(key, value.decode()) for value in values]
        places += await self._other_places(due)
        done = 0
        for from_ in range(0, len(due), FEW):
            lost = [d for d in due[from_ : from_ + FEW] if not d.astray]
            astray = [d for d in due[from_ : from_ + FEW] if d.astray]
            drafts = [missing((TASK, d.id), tuple(places), d.number) for d in lost]
            done += await self._forget(drafts, in_ms(now))
            drafts = [missing((TASK, ""), tuple(places), d.number) for d in astray]
            done += await self._forget(drafts)
        return done

    async def _other_places(self, due: Sequence[Due]) -> list[Place]:
        """Return where tasks of these numbers are among values not indexed apart."""
        chunks: dict[int, set[int]] = {}
        for one in due:
            chunks.setdefault(one.number // CHUNK, set()).add(one.number % CHUNK)
        asked = [(key, chunk) for key in BOUNDED for chunk in chunks]
        told = await self._link.calls(
            [("ZRANGE", self._keys.other(*one), 0, -1) for one in asked]
        )
        return [
            (key, value.decode())
            for (key, chunk), members in zip(asked, told, strict=True)
            for value, _, place in (member.rpartition(b"\0") for member in members)
            if int(place) in chunks[chunk]
        ]


def _always(_: Known) -> bool:
    return True
