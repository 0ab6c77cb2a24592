"""Expiry in the store on Redis: due records are deleted, and published as deleted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple

from herald_core.model.changes import GAP, QUEUE, TASK, WORKER
from herald_core.model.documents import DOCUMENT_KINDS, MAX_DOCUMENTS
from herald_core.model.gaps import MAX_GAPS
from herald_core.model.tasks.views import STATES, from_rfc3339
from herald_core.model.workers.queue import QueueView
from herald_core.store.documents import has_ended, make_document_term
from herald_core.store.mutations import (
    get_worker_state,
    is_expired,
    is_only_submitted,
    make_deletion,
    make_worker_deletion,
)
from herald_core.store.ports import MAX_GROUPS, QUEUE_TTL_S
from herald_core.store.records import (
    GAP_TERM,
    QUEUE_TERM,
    WORKER_TERM,
    AnnouncedWorker,
    IndexTerm,
    RecordKey,
    RecordUpdate,
    StoredRecord,
    make_orphan_cleanup,
    to_ms,
)
from herald_core.store.redis.bitmaps import CHUNK_BITS
from herald_core.store.redis.cache import RecordCache
from herald_core.store.redis.connection.client import RedisClient
from herald_core.store.redis.encoding.stored_records import decode_stored
from herald_core.store.redis.encoding.updates import encode_update
from herald_core.store.redis.index_updates import DATED_KEYS
from herald_core.store.redis.keys import BOUNDED_KEYS, RedisKeys
from herald_core.store.redis.lua.scripts import ALLOW_OOM_FLAG, load_script
from herald_core.store.redis.store_script import (
    Retention,
    StoreScript,
)
from herald_core.store.redis.task_counters import RedisTaskCounters

SWEEP_BATCH = 250
"""Changes in one step: more would block Redis' other clients for too long."""

GAP_RETENTION_S = 7 * 86_400.0
"""Seconds until records of gaps expire."""

LISTED_SWEEP_S = 2.0
"""Seconds between two looks at workers, gaps and queues. Each reads all of them, and
tasks that are due are deleted in many more steps than that."""

DOCUMENT_SWEEP_S = 15.0
"""Seconds between two looks at the documents."""

COUNTER_SWEEP_S = 60.0
"""Seconds between two looks at the series of Prometheus."""

TERMS_BY_KIND = {
    **{WORKER: WORKER_TERM, GAP: GAP_TERM, QUEUE: QUEUE_TERM},
    **{kind: make_document_term(kind) for kind in DOCUMENT_KINDS},
}

MIN_BATCH = 25
"""Tasks that are taken out of every index in one step."""

SEGMENT_BATCH = 1
"""Segments of numbers that are looked through, and forgotten, in one step: events
that come in wait for no more than one."""


class DueTask(NamedTuple):
    """A task that is due. `astray`: its id has another number by now."""

    number: int
    id: str
    is_renumbered: bool


class RedisExpiry:
    """The part of a `Writer` that reads records, and deletes them."""

    def __init__(
        self, link: RedisClient, keys: RedisKeys, bounds: Retention, *, cached: int
    ) -> None:
        self._client = link
        self._keys = keys
        self._retention = bounds
        self._script = StoreScript(link, keys, bounds)
        self._cache = RecordCache(cached)
        self._alone = asyncio.Lock()
        self._next_listed_sweep = 0.0
        self._next_document_sweep = 0.0
        self._next_counter_sweep = 0.0
        self._counters = RedisTaskCounters(link, keys, bounds.counters)

    async def _fetch(
        self, names: Sequence[RecordKey]
    ) -> dict[RecordKey, StoredRecord | None]:
        if not names:
            return {}
        found = await self._client.execute(
            "MGET", *(self._keys.make_record(*n) for n in names)
        )
        return {
            name: decode_stored(name[0], stored) if stored else None
            for name, stored in zip(names, found, strict=True)
        }

    async def _read_index(
        self, place: IndexTerm, until: str = "+inf"
    ) -> list[RecordKey]:
        key = self._keys.make_index(*place)
        ids = await self._client.execute("ZRANGEBYSCORE", key, "-inf", until)
        return [(place[0], id_.decode()) for id_ in ids]

    async def expire_tasks(self, *, now: float, limit: int = 500) -> int:
        if now >= self._next_listed_sweep:
            self._next_listed_sweep = now + LISTED_SWEEP_S
            await self._sweep_workers(now)
            await self._sweep_gaps(now - GAP_RETENTION_S)
            await self._sweep_queues(now - QUEUE_TTL_S)
        await self._sweep_documents(now)
        await self._sweep_counters(now)
        await self._trim_values(now)
        swept = 0
        while swept < limit:
            looked, due = await self._find_due(now)
            if not looked:
                break
            if due:
                forgotten = await self._delete_tasks(due[: limit - swept], now)
                swept += forgotten
                if not forgotten:
                    break  # others are about it, or changed it
        return swept

    async def withdraw(self, ids: Sequence[str]) -> int:
        names = [(TASK, id_) for id_ in dict.fromkeys(ids)]
        done = 0
        async with self._alone:
            for from_ in range(0, len(names), SWEEP_BATCH):
                found = await self._fetch(names[from_ : from_ + SWEEP_BATCH])
                wishes = {n: make_deletion(n, is_only_submitted) for n in found}
                drafts = [d for n, k in found.items() if (d := wishes[n](k))]
                done += await self._delete(drafts)
        return done

    async def _find_due(self, now: float) -> tuple[int, list[DueTask]]:
        """Return how many segments were looked through, and tasks that are over."""
        keys = self._keys
        sha, source = load_script("expired.lua", ALLOW_OOM_FLAG)
        words = (1, keys.due, keys.segments, keys.tasks, to_ms(now), SEGMENT_BATCH)
        looked, *names = await self._client.execute_script(sha, source, words)
        return int(looked), [
            DueTask(int(names[i]), names[i + 1].decode(), bool(names[i + 2]))
            for i in range(0, len(names), 3)
        ]

    async def _delete_tasks(self, due: Sequence[DueTask], now: float) -> int:
        async with self._alone:
            found = await self._fetch([(TASK, one.id) for one in due])
            drafts: list[RecordUpdate] = []
            unknown: list[DueTask] = []
            for one in due:
                known = found[TASK, one.id]
                if known is None or one.is_renumbered:
                    unknown.append(one)
                # A writer that changed it since has moved its expiry, or is refused
                # below.
                elif float(known.due_ms) <= now * 1000:
                    wish = make_deletion((TASK, one.id), _accept_all)
                    drafts += [draft] if (draft := wish(known)) else []
            done = await self._delete(drafts, to_ms(now))
            return done + await self._clean_orphans(unknown, now)

    async def _delete(self, drafts: Sequence[RecordUpdate], gone: str = "") -> int:
        if not drafts:
            return 0
        for draft in drafts:
            self._cache.discard(draft.key)
        stored = [encode_update(draft, 0, gone) for draft in drafts]
        # A deletion adds to no minute, so the time does not matter.
        out = await self._script.run(stored, now=0.0, allow_oom=True)
        return len(stored) - len(out.refused)

    async def delete_worker(self, hostname: str, *, now: float) -> str | None:
        name: RecordKey = (WORKER, hostname)
        wish = make_worker_deletion(hostname, now)
        async with self._alone:
            # A concurrent change of the record refuses the deletion; the next run
            # retries.
            while (known := (await self._fetch([name]))[name]) is not None:
                draft = wish(known)
                if draft is None or await self._delete([draft]):
                    return get_worker_state(known, now)
        return None

    async def delete_documents(
        self, kind: str, ids: Sequence[str], *, now: float
    ) -> int:
        del now
        names = [(kind, id_) for id_ in ids]
        async with self._alone:
            found = await self._fetch(names)
            drafts = [
                d for n, k in found.items() if (d := make_deletion(n, _accept_all)(k))
            ]
            return await self._delete(drafts)

    async def _sweep_workers(self, now: float) -> None:
        forget_after = self._retention.workers_s

        def due(known: StoredRecord) -> bool:
            return isinstance(known.record, AnnouncedWorker) and (
                is_expired(known.record.worker, now, forget_after)
            )

        await self._sweep_listed(await self._read_index(WORKER_TERM), due)

    async def _sweep_gaps(self, until: float) -> None:
        over = await self._read_index(GAP_TERM, to_ms(until))
        # The score is the start of the gap, so that the oldest are deleted.
        ids = await self._client.execute(
            "ZRANGE", self._keys.make_index(*GAP_TERM), 0, -MAX_GAPS - 1
        )
        too_many = [(GAP, id_.decode()) for id_ in ids]
        await self._sweep_listed(list(dict.fromkeys([*over, *too_many])), _accept_all)

    async def _sweep_queues(self, until: float) -> None:
        def due(known: StoredRecord) -> bool:
            return isinstance(known.record, QueueView) and (
                from_rfc3339(known.record.as_of) <= until
            )

        await self._sweep_listed(await self._read_index(QUEUE_TERM), due)

    async def _sweep_documents(self, now: float) -> None:
        if now < self._next_document_sweep:
            return
        self._next_document_sweep = now + DOCUMENT_SWEEP_S
        for kind in DOCUMENT_KINDS:
            listed = await self._read_index(make_document_term(kind))
            too_many = listed[: max(len(listed) - MAX_DOCUMENTS, 0)]
            await self._sweep_listed(too_many, _accept_all)
            rest = listed[len(too_many) :]
            await self._sweep_listed(rest, lambda known: has_ended(known, now))

    async def _sweep_counters(self, now: float) -> None:
        if now < self._next_counter_sweep:
            return
        self._next_counter_sweep = now + COUNTER_SWEEP_S
        await self._counters.expire(now)

    async def _sweep_listed(
        self, names: Sequence[RecordKey], due: Callable[[StoredRecord], bool]
    ) -> None:
        async with self._alone:
            for from_ in range(0, len(names), SWEEP_BATCH):
                found = await self._fetch(names[from_ : from_ + SWEEP_BATCH])
                drafts = [
                    d for n, k in found.items() if (d := make_deletion(n, due)(k))
                ]
                drafts += [
                    make_orphan_cleanup(n, (TERMS_BY_KIND[n[0]],))
                    for n, k in found.items()
                    if k is None
                ]
                await self._delete(drafts)

    async def _trim_values(self, now: float) -> None:
        """Delete values of index keys that no record can have any more."""
        until = repr(now - self._retention.max_ttl_s)
        groups = self._keys.make_values("group")
        await self._client.execute_many(
            [
                *(
                    ("ZREMRANGEBYSCORE", self._keys.make_values(key), "-inf", until)
                    for key in DATED_KEYS
                ),
                ("ZREMRANGEBYRANK", groups, 0, -MAX_GROUPS - 1),
            ]
        )

    async def _clean_orphans(self, due: Sequence[DueTask], now: float) -> int:
        """Remove from all indexes tasks whose records expired before any sweep.

        That happens if no monitor ran for a day. Lists by root, parent and group are
        not known; they expire with the last of their tasks.
        """
        if not due:
            return 0
        places: list[IndexTerm] = [("state", state) for state in STATES]
        for key in BOUNDED_KEYS:
            values = await self._client.execute(
                "ZRANGE", self._keys.make_values(key), 0, -1
            )
            places += [(key, value.decode()) for value in values]
        places += await self._list_other_terms(due)
        done = 0
        for from_ in range(0, len(due), MIN_BATCH):
            lost = [d for d in due[from_ : from_ + MIN_BATCH] if not d.is_renumbered]
            astray = [d for d in due[from_ : from_ + MIN_BATCH] if d.is_renumbered]
            drafts = [
                make_orphan_cleanup((TASK, d.id), tuple(places), d.number) for d in lost
            ]
            done += await self._delete(drafts, to_ms(now))
            drafts = [
                make_orphan_cleanup((TASK, ""), tuple(places), d.number) for d in astray
            ]
            done += await self._delete(drafts)
        return done

    async def _list_other_terms(self, due: Sequence[DueTask]) -> list[IndexTerm]:
        """Return where tasks of these numbers are among values not indexed apart."""
        chunks: dict[int, set[int]] = {}
        for one in due:
            chunks.setdefault(one.number // CHUNK_BITS, set()).add(
                one.number % CHUNK_BITS
            )
        places = [(key, chunk) for key in BOUNDED_KEYS for chunk in chunks]
        replies = await self._client.execute_many(
            [("ZRANGE", self._keys.make_others(*one), 0, -1) for one in places]
        )
        return [
            (key, value.decode())
            for (key, chunk), members in zip(places, replies, strict=True)
            for value, _, place in (member.rpartition(b"\0") for member in members)
            if int(place) in chunks[chunk]
        ]


def _accept_all(_: StoredRecord) -> bool:
    return True
