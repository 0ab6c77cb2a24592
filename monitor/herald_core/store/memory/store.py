"""The store in dicts: one process, no persistence. For tests of your own code.

The same tests cover it as the store on Redis, except for speed: each query reads every
task.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Mapping, Sequence
from itertools import count, islice

from herald_core.model.changes import GAP, QUEUE, TASK, WORKER, LogEntry, decode_change
from herald_core.model.cursor import START, Cursor
from herald_core.model.documents import (
    DOCUMENT_KINDS,
    MAX_DOCUMENTS,
    Document,
    DocumentUpdate,
)
from herald_core.model.events.event import Event
from herald_core.model.gaps import MAX_GAPS, Gap
from herald_core.model.monitors import MonitorView
from herald_core.model.queries.argument_index import ArgumentIndex
from herald_core.model.rollups.counter_delta import DEFAULT_COUNTER_RULES, CounterRules
from herald_core.model.tasks.views import (
    TaskView,
    from_rfc3339,
)
from herald_core.model.workers.queue import QueueView
from herald_core.model.workers.worker import FORGET_AFTER_S
from herald_core.model.workers.worker_record import Worker
from herald_core.store.documents import has_ended, make_document_mutations
from herald_core.store.index_terms import NO_NUMBER
from herald_core.store.key_value import MemoryKeyValueStore
from herald_core.store.memory.reader import MemoryReader
from herald_core.store.mutations import (
    get_worker_state,
    is_expired,
    is_only_submitted,
    make_deletion,
    make_event_mutations,
    make_gap_mutation,
    make_queue_mutation,
    make_worker_deletion,
    make_worker_mutations,
    make_worker_refresh,
)
from herald_core.store.ports import QUEUE_TTL_S
from herald_core.store.records import AnnouncedWorker, Mutation, RecordKey, RecordUpdate
from herald_core.store.rollup_sums import MemoryRollups
from herald_core.store.task_counters import MemoryTaskCounters
from herald_core.store.types import WriteResult

SWEEP_BATCH = 250
GAP_RETENTION_S = 7 * 86_400.0
MONITOR_TTL_S = 15.0
MAX_EXPIRED_IDS = 100_000


class MemoryStore(MemoryReader, MemoryRollups, MemoryTaskCounters, MemoryKeyValueStore):
    """Writer, Reader, Log and KeyValueStore in one process. Not thread-safe.

    `retention` and `keep_unfinished` are the seconds after its last change until a task
    expires. `log_length` is the maximum number of log entries. A worker that is gone
    expires `forget_workers` seconds after its last sign of life.
    """

    def __init__(
        self,
        *,
        retention: float = 86_400.0,
        keep_unfinished: float = 7 * 86_400.0,
        log_length: int = 10_000,
        forget_workers: float = FORGET_AFTER_S,
        index: ArgumentIndex | None = None,
        counters: CounterRules = DEFAULT_COUNTER_RULES,
    ) -> None:
        super().__init__()
        self._counters = counters
        self._index = index
        self._retention = retention
        self._unfinished = keep_unfinished
        self._forget_workers = forget_workers
        self._due: dict[RecordKey, float] = {}
        self._leases: dict[str, tuple[str, float]] = {}
        self._log: deque[LogEntry] = deque(maxlen=log_length)
        self._end = START
        self._numbers = count()
        self._identity = secrets.token_hex(20)
        self._last_heartbeat: Cursor | None = None
        self._log_grew: set[asyncio.Future[None]] = set()
        self.warnings: list[str] = []

    async def open(self) -> None:
        """Do nothing: there is nothing to connect to."""

    async def close(self) -> None:
        """Do nothing: the data stays until the object is deleted."""

    # -- Writer -----------------------------------------------------------------

    async def store(
        self, events: Sequence[Event], workers: Sequence[Worker] = (), *, now: float
    ) -> WriteResult:
        if self._index is not None:
            events = self._index.add_terms(events)
        wishes = make_worker_mutations(workers, now) | make_event_mutations(events, now)
        return self._apply(wishes, now)

    async def withdraw(self, ids: Sequence[str]) -> int:
        names = [(TASK, id_) for id_ in ids]
        known = ((name, self._records.get(name)) for name in names)
        left = [name for name, one in known if one and is_only_submitted(one)]
        self._delete(left)
        return len(left)

    async def open_gap(self, gap: Gap) -> WriteResult:
        return self._apply(
            {(GAP, gap.id): make_gap_mutation(gap)}, from_rfc3339(gap.since)
        )

    async def store_queues(
        self, queues: Sequence[QueueView], *, now: float
    ) -> WriteResult:
        return self._apply(
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
        return self._apply(make_document_mutations(kind, updates, now, seconds), now)

    async def delete_documents(
        self, kind: str, ids: Sequence[str], *, now: float
    ) -> int:
        del now
        names = [(kind, id_) for id_ in ids if (kind, id_) in self._records]
        self._delete(names)
        return len(names)

    async def delete_worker(self, hostname: str, *, now: float) -> str | None:
        known = self._records.get((WORKER, hostname))
        if known is None:
            return None
        if make_worker_deletion(hostname, now)(known) is not None:
            self._delete([(WORKER, hostname)])
        return get_worker_state(known, now)

    async def record_heartbeat(
        self, monitor: MonitorView, *, now: float
    ) -> WriteResult:
        aged = make_worker_refresh(now, monitor.behind_since)
        receipt = self._apply(dict.fromkeys(self._list_keys(WORKER), aged), now)
        self._monitors[monitor.id] = (time.monotonic() + MONITOR_TTL_S, monitor)
        if self._last_heartbeat is None or self._last_heartbeat == self._end:
            self._append([])
        self._last_heartbeat = self._end
        return WriteResult(self._end, receipt.changes)

    async def expire_tasks(self, *, now: float, limit: int = 500) -> int:
        self._delete(
            [name for name in self._list_keys(WORKER) if self._is_expired(name, now)]
        )
        self._delete(self._list_due(GAP, now))
        self._delete(self._list_due(QUEUE, now))
        self._expire_documents(now)
        self._expire_counters(now - self._counters.retention_s)
        self._delete([(GAP, gap.id) for gap in (await self.list_gaps())[MAX_GAPS:]])
        tasks = sorted(self._list_due(TASK, now), key=lambda name: self._due[name])[
            :limit
        ]
        self._delete(tasks)
        for _, id_ in tasks:
            self._expired_ids[id_] = None
        for id_ in list(
            islice(self._expired_ids, max(len(self._expired_ids) - MAX_EXPIRED_IDS, 0))
        ):
            del self._expired_ids[id_]
        return len(tasks)

    async def acquire_lease(self, work: str, owner: str, seconds: float) -> bool:
        holder, until = self._leases.get(work, (owner, 0.0))
        now = time.monotonic()
        if holder != owner and until > now:
            return False
        self._leases[work] = owner, now + seconds
        return True

    def _expire_documents(self, now: float) -> None:
        for kind in DOCUMENT_KINDS:
            listed = sorted(
                self._list_keys(kind),
                key=lambda name: float(self._records[name].first_seen_ms),
            )
            too_many = listed[: max(len(listed) - MAX_DOCUMENTS, 0)]
            rest = listed[len(too_many) :]
            ended = [name for name in rest if has_ended(self._records[name], now)]
            self._delete([*too_many, *ended])

    def _list_due(self, kind: str, now: float) -> list[RecordKey]:
        return [n for n in self._list_keys(kind) if self._due[n] <= now]

    def _is_expired(self, name: RecordKey, now: float) -> bool:
        record = self._records[name].record
        assert isinstance(record, AnnouncedWorker)
        return is_expired(record.worker, now, self._forget_workers)

    def _delete(self, names: Sequence[RecordKey]) -> None:
        for from_ in range(0, len(names), SWEEP_BATCH):
            part = names[from_ : from_ + SWEEP_BATCH]
            wishes = [(name, make_deletion(name, lambda _: True)) for name in part]
            drafts = [d for name, wish in wishes if (d := wish(self._records[name]))]
            self._append(drafts)
            for name in part:
                del self._records[name], self._due[name]

    def _apply(self, wishes: dict[RecordKey, Mutation], now: float) -> WriteResult:
        left = iter(wishes.items())
        changes = 0
        while part := list(islice(left, SWEEP_BATCH)):
            made = [d for name, wish in part if (d := wish(self._records.get(name)))]
            if made:
                changes += self._store_updates(made, now)
        return WriteResult(self._end, changes)

    def _store_updates(self, drafts: Sequence[RecordUpdate], now: float) -> int:
        published = [draft for draft in drafts if not draft.is_silent]
        if published:
            self._append(published)
        added = [draft.make_rollup_delta() for draft in drafts]
        self._add(added, now)
        pairs = zip(drafts, added, strict=True)
        deltas = [one.make_counter_delta(of, self._counters) for one, of in pairs]
        self._count(deltas, self._counters.max_series, now)
        revs = iter([f"{self._end}.{rank}" for rank in range(len(published))])
        for draft in drafts:
            rev = "" if draft.is_silent else next(revs)
            number = next(self._numbers) if draft.number == NO_NUMBER else draft.number
            self._records[draft.key] = draft.to_record(draft.make_rev(rev), number)
            self._due[draft.key] = self._get_retention(draft, now)
        return len(published)

    def _get_retention(self, draft: RecordUpdate, now: float) -> float:
        if isinstance(draft.image, TaskView):
            return now + (self._retention if draft.image.final else self._unfinished)
        if isinstance(draft.record, Document):
            return draft.record.expires_at
        return now + (QUEUE_TTL_S if draft.key[0] == QUEUE else GAP_RETENTION_S)

    def _append(self, drafts: Sequence[RecordUpdate]) -> None:
        if self._end == START:
            cursor = Cursor(round(time.time() * 1000), 0)
        else:
            cursor = Cursor(self._end.epoch, self._end.n + 1)
        changes = (
            decode_change(draft.encode_log_field(), cursor, number)
            for number, draft in enumerate(drafts)
        )
        self._log.append(LogEntry(cursor, tuple(changes)))
        self._end = cursor
        for waiting in self._log_grew:
            if not waiting.done():
                waiting.set_result(None)

    # -- Log --------------------------------------------------------------------

    async def read_end(self) -> Cursor:
        return self._end

    async def read_entries(
        self,
        after: Cursor,
        *,
        wait: float = 0.0,
        limit: int = 100,
        until: Cursor | None = None,
    ) -> list[LogEntry]:
        if until is not None:
            limit = min(limit, until.n - after.n)
            if limit <= 0:
                return []
        if self._end <= after and wait > 0:
            await self._wait(after, wait)
        entries = (entry for entry in self._log if entry.cursor > after)
        return list(islice(entries, max(limit, 1)))

    async def _wait(self, after: Cursor, wait: float) -> None:
        moved: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._log_grew.add(moved)
        try:
            async with asyncio.timeout(wait):
                await moved
        except TimeoutError:
            pass
        finally:
            self._log_grew.discard(moved)

    async def read_history_id(self) -> str:
        return self._identity
