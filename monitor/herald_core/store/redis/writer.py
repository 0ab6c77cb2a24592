"""The write port on Redis: read, merge, compare and set. Two round trips a batch.

Recently stored records are cached with their rev, so a batch about known tasks takes
one round trip. An outdated cache entry costs a refusal by the script, and a second
round trip; never a wrong write.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from itertools import islice

from herald_core.errors import StoreError
from herald_core.model.changes import GAP, QUEUE, WORKER
from herald_core.model.cursor import START, Cursor, parse_cursor
from herald_core.model.documents import Document, DocumentUpdate
from herald_core.model.events.event import Event
from herald_core.model.gaps import Gap
from herald_core.model.monitors import MonitorView
from herald_core.model.queries.argument_index import ArgumentIndex
from herald_core.model.tasks.views import TaskView, from_rfc3339
from herald_core.model.workers.queue import QueueView
from herald_core.model.workers.worker_record import Worker
from herald_core.store.documents import make_document_mutations
from herald_core.store.mutations import (
    is_likely_new,
    make_event_mutations,
    make_gap_mutation,
    make_queue_mutation,
    make_worker_mutations,
    make_worker_refresh,
)
from herald_core.store.ports import QUEUE_TTL_S
from herald_core.store.records import (
    WORKER_TERM,
    Mutation,
    RecordKey,
    RecordUpdate,
    StoredRecord,
    to_ms,
)
from herald_core.store.redis.connection.client import RedisClient
from herald_core.store.redis.connection.pool import Word
from herald_core.store.redis.encoding.record_codec import encode_record
from herald_core.store.redis.encoding.updates import EncodedUpdate, encode_update
from herald_core.store.redis.expiry import (
    GAP_RETENTION_S,
    RedisExpiry,
)
from herald_core.store.redis.keys import RedisKeys
from herald_core.store.redis.lua.scripts import load_script
from herald_core.store.redis.store_script import (
    BOOKMARK_ALWAYS,
    Retention,
    ScriptResult,
)
from herald_core.store.task_counters import TaskCounter
from herald_core.store.types import WriteResult
from herald_core.system.cancellation import cancel_tasks

MAX_ROUNDS = 100
"""Conflicts with other writers on one record before a warning is logged."""

SCRIPT_BATCH = 256
"""Changes in one script call, while the next step is prepared. Half as many cost Redis
a fifth more for an event. Twice as many leave no work to do in parallel, if there is no
other writer.
"""

ROUND_BATCH = 2_000
"""Records that are read, merged and stored in one go, so that Redis and the writer wait
for each other only once a go."""

GUESS_BACKOFF_S = 30.0
"""Seconds without guesses after many were wrong: another monitor receives the same
events, and is faster."""

MAX_CACHED_RECORDS = 8_000
"""Records that are remembered between batches."""

MONITOR_KIND = "m"
MONITOR_TTL_S = 15
"""Seconds that a monitor counts as living after its last beat."""


class RedisWriter(RedisExpiry):
    """The `Writer` port on Redis."""

    def __init__(
        self,
        link: RedisClient,
        keys: RedisKeys,
        bounds: Retention,
        *,
        cached: int = MAX_CACHED_RECORDS,
        step: int = SCRIPT_BATCH,
        index: ArgumentIndex | None = None,
    ) -> None:
        super().__init__(link, keys, bounds, cached=cached)
        self._index = index
        self._step = step
        self._last_heartbeat: Cursor | None = None
        self._known_end: Cursor | None = None
        self._no_guess_until = 0.0

    async def store(
        self, events: Sequence[Event], workers: Sequence[Worker] = (), *, now: float
    ) -> WriteResult:
        if self._index is not None:
            events = self._index.add_terms(events)
        wishes = make_event_mutations(events, now)
        if workers:
            wishes = make_worker_mutations(workers, now) | wishes
        return await self._apply(wishes, now)

    async def open_gap(self, gap: Gap) -> WriteResult:
        return await self._apply(
            {(GAP, gap.id): make_gap_mutation(gap)}, from_rfc3339(gap.since)
        )

    async def store_queues(
        self, queues: Sequence[QueueView], *, now: float
    ) -> WriteResult:
        return await self._apply(
            {(QUEUE, one.id): make_queue_mutation(one) for one in queues}, now
        )

    async def update_documents(
        self,
        kind: str,
        updates: Mapping[str, DocumentUpdate],
        *,
        now: float,
        seconds: float,
    ) -> WriteResult:
        return await self._apply(
            make_document_mutations(kind, updates, now, seconds), now
        )

    async def record_heartbeat(
        self, monitor: MonitorView, *, now: float
    ) -> WriteResult:
        aged = make_worker_refresh(now, monitor.behind_since)
        wishes = dict.fromkeys(await self._read_index(WORKER_TERM), aged)
        receipt = await self._apply(wishes, now)
        async with self._alone:
            bookmark = (
                BOOKMARK_ALWAYS
                if self._last_heartbeat is None
                else str(self._last_heartbeat)
            )
            commands = self._encode_monitor(monitor, now)
            out = await self._script.run([], commands, bookmark, now=now)
            self._last_heartbeat = out.end
        return WriteResult(out.end, receipt.changes)

    async def read_task_counters(self) -> list[TaskCounter]:
        return await self._counters.read()

    async def acquire_lease(self, work: str, owner: str, seconds: float) -> bool:
        sha, source = load_script("lease.lua")
        words = (1, self._keys.make_lease(work), owner, max(round(seconds * 1000), 1))
        return bool(await self._client.execute_script(sha, source, words))

    def _encode_monitor(self, monitor: MonitorView, now: float) -> list[list[Word]]:
        living = self._keys.make_values(MONITOR_KIND)
        key = self._keys.make_record(MONITOR_KIND, monitor.id)
        return [
            ["SET", key, encode_record(monitor), "EX", MONITOR_TTL_S],
            ["ZADD", living, repr(now), monitor.id],
            ["ZREMRANGEBYSCORE", living, "-inf", repr(now - 10 * MONITOR_TTL_S)],
            ["EXPIRE", living, self._retention.max_ttl_s],
        ]

    async def _apply(
        self, wishes: dict[RecordKey, Mutation], now: float
    ) -> WriteResult:
        """Store the results of `wishes`, step by step."""
        left = iter(wishes.items())
        changes, end = 0, None
        async with self._alone:
            while part := dict(islice(left, ROUND_BATCH)):
                stored, end = await self._apply_batch(part, now)
                changes += stored
            return WriteResult(end or await self._read_end(), changes)

    async def _apply_batch(
        self, wishes: dict[RecordKey, Mutation], now: float
    ) -> tuple[int, Cursor]:
        changes, left = 0, wishes
        for round_ in range(MAX_ROUNDS):
            guess = round_ == 0 and now >= self._no_guess_until
            known = await self._read_known(left, guess=guess)
            outs = await self._write_steps(left, known, now)
            ends = [out.end for out in outs] or [await self._read_end()]
            changes += sum(out.changes for out in outs)
            refused = [name for out in outs for name in out.refused]
            if guess and 4 * len(refused) > len(left):
                self._no_guess_until = now + GUESS_BACKOFF_S
            # A list: each of them is to be noted.
            if any([self._is_other_history(end) for end in ends]):
                # The cached records were lost with the old history, and so may be the
                # records that were assumed to exist.
                self._cache.clear()
                left = wishes
            elif not refused:
                return changes, ends[-1]
            else:
                left = {name: wishes[name] for name in refused}
        raise StoreError(
            f"others changed the same records {MAX_ROUNDS} times in a row in the store "
            f"at {self._client.name}; see that not too many monitors share it"
        )

    async def _write_steps(
        self,
        wishes: dict[RecordKey, Mutation],
        known: dict[RecordKey, StoredRecord | None],
        now: float,
    ) -> list[ScriptResult]:
        """Store the results of `wishes`; prepare one step while Redis stores the last.

        No two mutations are about one record, so no step needs the one before it.
        """
        left, outs = iter(wishes.items()), list[ScriptResult]()
        writing: asyncio.Task[ScriptResult] | None = None
        try:
            while step := list(islice(left, self._step)):
                stored = self._encode_step(step, known, now)
                words = self._script.make_argv(stored, now=now)
                if writing is not None:
                    outs.append(await writing)
                    writing = None
                if len(step) < self._step and stored:
                    # The last step: no other can be prepared in parallel.
                    outs.append(await self._write(stored, words, now))
                elif stored:
                    writing = asyncio.create_task(self._write(stored, words, now))
                    await _yield_to_io()
                else:
                    await asyncio.sleep(0)
            if writing is not None:
                outs.append(await writing)
            return outs
        except BaseException:
            if writing is not None:
                await cancel_tasks(writing)
            raise

    def _is_other_history(self, end: Cursor) -> bool:
        """Record the end of the log; return True if the log has another history."""
        known, self._known_end = self._known_end, end
        return known is not None and (known.epoch != end.epoch or end < known)

    async def _read_known(
        self, wishes: dict[RecordKey, Mutation], *, guess: bool
    ) -> dict[RecordKey, StoredRecord | None]:
        """Return the stored, or assumed, record of each.

        A `guess` assumes that a new task that is not cached is not stored. If that is
        wrong, the script refuses it, and the record is read.
        """
        known = {name: self._cache.get(name) for name in wishes}
        unknown = [
            name
            for name, one in known.items()
            if one is None and not (guess and is_likely_new(wishes[name]))
        ]
        if unknown:
            known.update(await self._fetch(unknown))
        return known

    async def _write(
        self, stored: Sequence[EncodedUpdate], words: Sequence[Word], now: float
    ) -> ScriptResult:
        # The cache entry is removed first: if the answer is lost, its rev is unknown.
        for one in stored:
            self._cache.discard(one.key)
        out = await self._script.execute(stored, words)
        for name, known in out.records.items():
            self._cache.put(name, known)
        refused = set(out.refused)
        self._counters.add(
            [one.counter_delta for one in stored if one.key not in refused], now
        )
        return out

    def _encode_step(
        self,
        step: Sequence[tuple[RecordKey, Mutation]],
        known: Mapping[RecordKey, StoredRecord | None],
        now: float,
    ) -> list[EncodedUpdate]:
        """Return the encoded updates of a step."""
        bounds = self._retention
        over, going = [
            (int(seconds + bounds.slack_s), to_ms(now + seconds))
            for seconds in (bounds.retention_s, bounds.unfinished_s)
        ]
        stored: list[EncodedUpdate] = []
        for name, wish in step:
            draft = wish(known[name])
            if draft is None:
                continue
            if isinstance(draft.image, TaskView):
                life, due = over if draft.image.final else going
                stored.append(encode_update(draft, life, due, bounds.counters))
            else:
                lifetime = self._get_lifetime_s(draft, now)
                stored.append(encode_update(draft, int(lifetime + bounds.slack_s)))
        return stored

    def _get_lifetime_s(self, draft: RecordUpdate, now: float) -> float:
        """Return the seconds that a record that is no task is kept."""
        if isinstance(draft.record, Document):
            return draft.record.expires_at - now
        lifetimes = {WORKER: self._retention.workers_s, QUEUE: QUEUE_TTL_S}
        return lifetimes.get(draft.key[0], GAP_RETENTION_S)

    async def _read_end(self) -> Cursor:
        end = await self._client.execute("HGET", self._keys.meta, "end")
        return parse_cursor(end.decode()) if end else START


async def _yield_to_io() -> None:
    """Let a command that was just started get onto its line before we go on.

    redis-py takes four turns of the loop to see that its line is sound; without
    them the server would be idle while we draft. Nothing but time depends on it.
    """
    for _ in range(5):
        await asyncio.sleep(0)
