"""The store in dicts: one process, nothing kept. For tests of your own code.

Held to the same suite as the store on Redis, but for speed: it looks at every
task to answer a question.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Sequence
from itertools import count, islice

from herald_monitor.batch import Draft, Name, Shown, Wish
from herald_monitor.memory_reader import MemoryReader
from herald_monitor.minutes import MemoryMinutes
from herald_monitor.model.changes import GAP, QUEUE, TASK, WORKER, Entry, read_change
from herald_monitor.model.cursor import START, Cursor
from herald_monitor.model.events import Event
from herald_monitor.model.numbers import NONE
from herald_monitor.model.queues import QueueImage
from herald_monitor.model.shape import (
    TaskImage,
    unix,
)
from herald_monitor.model.workers import FORGET_AFTER, Worker
from herald_monitor.notes import MemoryNotes
from herald_monitor.store import (
    MOST_GAPS,
    QUEUES_FOR,
    Gap,
    MonitorImage,
    Receipt,
)
from herald_monitor.wishes import (
    aging,
    dismissing,
    forgetting,
    gauging,
    is_expired,
    is_only_submitted,
    recording,
    wishes_of_events,
    wishes_of_workers,
    worker_state,
)

BATCH = 250
GAPS_FOR = 7 * 86_400.0
MONITORS_FOR = 15.0
GONE_MOST = 100_000


class MemoryStore(MemoryReader, MemoryMinutes, MemoryNotes):
    """Writer, Reader, Log and Notes in one process. Not to be shared between threads.

    `retention` and `keep_unfinished` are the seconds that a task is kept after
    its last change, `log_length` is the number of entries in the log. A worker that
    is gone is kept for `forget_workers` seconds after its last sign of life.
    """

    def __init__(
        self,
        *,
        retention: float = 86_400.0,
        keep_unfinished: float = 7 * 86_400.0,
        log_length: int = 10_000,
        forget_workers: float = FORGET_AFTER,
    ) -> None:
        super().__init__()
        self._retention = retention
        self._unfinished = keep_unfinished
        self._forget_workers = forget_workers
        self._due: dict[Name, float] = {}
        self._leases: dict[str, tuple[str, float]] = {}
        self._log: deque[Entry] = deque(maxlen=log_length)
        self._end = START
        self._numbers = count()
        self._identity = secrets.token_hex(20)
        self._beaten: Cursor | None = None
        self._moved: set[asyncio.Future[None]] = set()
        self.warnings: list[str] = []

    async def open(self) -> None:
        """Do nothing: there is nothing to connect to."""

    async def close(self) -> None:
        """Do nothing: what is stored stays until the object goes."""

    # -- Writer -----------------------------------------------------------------

    async def store(
        self, events: Sequence[Event], workers: Sequence[Worker] = (), *, now: float
    ) -> Receipt:
        wishes = wishes_of_workers(workers, now) | wishes_of_events(events, now)
        return self._grant(wishes, now)

    async def withdraw(self, ids: Sequence[str]) -> int:
        names = [(TASK, id_) for id_ in ids]
        known = ((name, self._known.get(name)) for name in names)
        left = [name for name, one in known if one and is_only_submitted(one)]
        self._forget(left)
        return len(left)

    async def open_gap(self, gap: Gap) -> Receipt:
        return self._grant({(GAP, gap.id): recording(gap)}, unix(gap.since))

    async def gauge(self, queues: Sequence[QueueImage], *, now: float) -> Receipt:
        return self._grant({(QUEUE, one.id): gauging(one) for one in queues}, now)

    async def dismiss(self, hostname: str, *, now: float) -> str | None:
        known = self._known.get((WORKER, hostname))
        if known is None:
            return None
        if dismissing(hostname, now)(known) is not None:
            self._forget([(WORKER, hostname)])
        return worker_state(known, now)

    async def beat(self, monitor: MonitorImage, *, now: float) -> Receipt:
        aged = aging(now, monitor.behind_since)
        receipt = self._grant(dict.fromkeys(self._named(WORKER), aged), now)
        self._monitors[monitor.id] = (time.monotonic() + MONITORS_FOR, monitor)
        if self._beaten is None or self._beaten == self._end:
            self._append([])
        self._beaten = self._end
        return Receipt(self._end, receipt.changes)

    async def sweep(self, *, now: float, most: int = 500) -> int:
        self._forget([name for name in self._named(WORKER) if self._expired(name, now)])
        self._forget(self._over(GAP, now))
        self._forget(self._over(QUEUE, now))
        self._forget([(GAP, gap.id) for gap in (await self.gaps())[MOST_GAPS:]])
        tasks = sorted(self._over(TASK, now), key=lambda name: self._due[name])[:most]
        self._forget(tasks)
        for _, id_ in tasks:
            self._gone[id_] = None
        for id_ in list(islice(self._gone, max(len(self._gone) - GONE_MOST, 0))):
            del self._gone[id_]
        return len(tasks)

    async def lease(self, work: str, owner: str, seconds: float) -> bool:
        holder, until = self._leases.get(work, (owner, 0.0))
        now = time.monotonic()
        if holder != owner and until > now:
            return False
        self._leases[work] = owner, now + seconds
        return True

    def _over(self, kind: str, now: float) -> list[Name]:
        return [n for n in self._named(kind) if self._due[n] <= now]

    def _expired(self, name: Name, now: float) -> bool:
        record = self._known[name].record
        assert isinstance(record, Shown)
        return is_expired(record.worker, now, self._forget_workers)

    def _forget(self, names: Sequence[Name]) -> None:
        for from_ in range(0, len(names), BATCH):
            part = names[from_ : from_ + BATCH]
            wishes = [(name, forgetting(name, lambda _: True)) for name in part]
            drafts = [d for name, wish in wishes if (d := wish(self._known[name]))]
            self._append(drafts)
            for name in part:
                del self._known[name], self._due[name]

    def _grant(self, wishes: dict[Name, Wish], now: float) -> Receipt:
        left = iter(wishes.items())
        changes = 0
        while part := list(islice(left, BATCH)):
            made = [d for name, wish in part if (d := wish(self._known.get(name)))]
            if made:
                changes += self._keep(made, now)
        return Receipt(self._end, changes)

    def _keep(self, drafts: Sequence[Draft], now: float) -> int:
        told = [draft for draft in drafts if not draft.quiet]
        if told:
            self._append(told)
        self._add([draft.tally() for draft in drafts], now)
        revs = iter([f"{self._end}.{rank}" for rank in range(len(told))])
        for draft in drafts:
            rev = "" if draft.quiet else next(revs)
            number = next(self._numbers) if draft.number == NONE else draft.number
            self._known[draft.name] = draft.known(draft.rev(rev), number)
            self._due[draft.name] = self._time_of(draft, now)
        return len(told)

    def _time_of(self, draft: Draft, now: float) -> float:
        if isinstance(draft.image, TaskImage):
            return now + (self._retention if draft.image.final else self._unfinished)
        return now + (QUEUES_FOR if draft.name[0] == QUEUE else GAPS_FOR)

    def _append(self, drafts: Sequence[Draft]) -> None:
        if self._end == START:
            cursor = Cursor(round(time.time() * 1000), 0)
        else:
            cursor = Cursor(self._end.epoch, self._end.n + 1)
        changes = (
            read_change(draft.field(), cursor, number)
            for number, draft in enumerate(drafts)
        )
        self._log.append(Entry(cursor, tuple(changes)))
        self._end = cursor
        for waiting in self._moved:
            if not waiting.done():
                waiting.set_result(None)

    # -- Log --------------------------------------------------------------------

    async def end(self) -> Cursor:
        return self._end

    async def read(
        self,
        after: Cursor,
        *,
        wait: float = 0.0,
        most: int = 100,
        until: Cursor | None = None,
    ) -> list[Entry]:
        if until is not None:
            most = min(most, until.n - after.n)
            if most <= 0:
                return []
        if self._end <= after and wait > 0:
            await self._wait(after, wait)
        entries = (entry for entry in self._log if entry.cursor > after)
        return list(islice(entries, max(most, 1)))

    async def _wait(self, after: Cursor, wait: float) -> None:
        moved: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._moved.add(moved)
        try:
            async with asyncio.timeout(wait):
                await moved
        except TimeoutError:
            pass
        finally:
            self._moved.discard(moved)

    async def identity(self) -> str:
        return self._identity
