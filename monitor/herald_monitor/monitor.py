"""A monitor: receiver, backend channel, recorder, reconciler, and a beating heart."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec
from celery import Celery

from herald_monitor.attention import Attention
from herald_monitor.backend_channel import BackendChannel
from herald_monitor.backends import BackendUnreachable, kind_of
from herald_monitor.consumers import broker_name
from herald_monitor.errors import StoreError
from herald_monitor.gauging import Gauging
from herald_monitor.intake import Intake
from herald_monitor.kept_queue import KeptQueue
from herald_monitor.model.shape import rfc3339
from herald_monitor.model.workers import DRAIN_FOR, FORGET_AFTER
from herald_monitor.overflow import Pool
from herald_monitor.receiver import Receiver
from herald_monitor.reconciler import Reconciler, Tally
from herald_monitor.recorder import Recorder
from herald_monitor.shortfalls import Shortfalls
from herald_monitor.sources import Sources
from herald_monitor.starting import connected, is_covered, last_stored
from herald_monitor.store import MonitorImage, Store
from herald_monitor.survey import Survey
from herald_monitor.worker_cleanup import AT_ONCE, WorkerCleanup
from herald_monitor.worker_limit import MAX_WORKERS, WorkerLimit

log = logging.getLogger(__name__)

BEAT_EVERY = 1.0
SWEEP_EVERY = 5.0
STOP_WITHIN = 4.0

BEHIND = 1_000
LAG = 2.0
"""Events that wait, and seconds of lag, from which on nothing is called lost."""


SLOW = 1.0
"""Seconds that events may take to be read and stored before it is told since when."""


class Monitor:
    """Hears the events of `app`'s broker and keeps what they mean in `store`.

    At most `max_workers` are kept, so long as none of them can leave.
    `lost_after`, `shutdown_grace`, `forget_workers`, `reconcile_every`,
    `queues_every` (0: never) and `probe_every` are in seconds. With a queue that is
    `kept`, RabbitMQ keeps the events until they are stored, and while no monitor
    reads. `pool` makes help to store in the same `store`.
    """

    def __init__(
        self,
        app: Celery,
        store: Store,
        redact: Callable[[str], str] = str,
        node: str | None = None,
        *,
        listen_backend: bool = True,
        lost_after: float = 60.0,
        shutdown_grace: float = DRAIN_FOR,
        forget_workers: float = FORGET_AFTER,
        max_workers: int = MAX_WORKERS,
        reconcile_every: float = 10.0,
        queues_every: float = 10.0,
        probe_every: float = 5.0,
        kept: KeptQueue | None = None,
        pool: Callable[[], Pool] | None = None,
    ) -> None:
        self.node = node or f"{socket.gethostname()}-{os.getpid()}"
        self._app = app
        self._store = store
        self._intake = Intake()
        self._recorder = Recorder(
            self._intake, store, redact, self.node, self._gap_stored, pool
        )
        sources = Sources(app, store, redact)
        self._attention = Attention(lambda: self._receiver.connected_since)
        survey = Survey(
            store,
            sources,
            lost_after,
            shutdown_grace,
            self._behind,
            self._attention.since,
        )
        self._reconciler = Reconciler(
            store, survey, sources, self.node, reconcile_every
        )
        self._worker_limit = WorkerLimit(max_workers)
        self._recorder.interpreter.admits = self._worker_limit.admits
        self._cleanup = WorkerCleanup(
            store, lost_after + shutdown_grace, forget_workers, max_workers
        )
        self._gauging = Gauging(
            app, store, lambda: self._reconciler.at_work, queues_every
        )
        self._shortfalls = Shortfalls(sources.inspection, self._recorder.open_gap)
        self._recorder.interpreter.listener = self._shortfalls
        self._receiver = Receiver(
            app,
            deliver=self._worker_limit.guard(self._intake.put),
            lost_touch=self._lost_touch,
            poison=self._recorder.interpreter.set_aside,
            probe_every=probe_every,
            kept=kept,
            briefly=lambda: self._recorder.helpers > 0,
        )
        self._channel = BackendChannel(
            app,
            deliver=self._intake.offer,
            lost_touch=self._lost_backend,
            poison=self._recorder.interpreter.set_aside,
            redact=redact,
        )
        self._listen_backend = listen_backend
        self._loop: asyncio.AbstractEventLoop | None = None
        self._started_at = time.time()

    async def run(self, stop: asyncio.Event) -> None:
        """Monitor until `stop`; then store what was heard, within a few seconds."""
        self._loop = asyncio.get_running_loop()
        self._intake.open(self._loop)
        stored = await self._last_stored()
        thread = threading.Thread(
            target=self._receiver.run, name="receiver", daemon=True
        )
        thread.start()
        if self._listen_backend and _is_redis(self._app):
            self._channel.start()
        tasks = [
            asyncio.create_task(self._recorder.run()),
            asyncio.create_task(self._beat()),
            asyncio.create_task(self._sweep()),
            asyncio.create_task(self._count_workers()),
            asyncio.create_task(self._reconciler.run()),
            asyncio.create_task(self._shortfalls.run()),
            asyncio.create_task(self._gauging.run()),
        ]
        starting = asyncio.create_task(self._note_start(stored))
        stopped = asyncio.create_task(stop.wait())
        try:
            done, _ = await asyncio.wait(
                [*tasks, stopped], return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            self._receiver.stop()
            await self._channel.stop()
            await asyncio.to_thread(thread.join, 2.0)
            ending: list[asyncio.Task[Any]] = [*tasks, starting, stopped]
            for task in ending:
                task.cancel()
            await asyncio.gather(*ending, return_exceptions=True)
        try:
            for task in done - {stopped}:
                task.result()
            await self._finish()
        finally:
            await self._recorder.close()

    async def _finish(self) -> None:
        try:
            async with asyncio.timeout(STOP_WITHIN / 2):
                await self._recorder.drain()
        except TimeoutError:
            log.error(
                "%d events could not be stored before the end: %s",
                self._intake.waiting,
                self._recorder.problem or "the store is too slow",
            )

    async def _last_stored(self) -> float | None:
        try:
            return await last_stored(self._store)
        except StoreError as error:
            log.warning("%s", error)
            return None

    async def _note_start(self, stored: float | None) -> None:
        """Open a gap for the time in which no monitor heard anything."""
        at = await connected(lambda: self._receiver.connected)
        try:
            covered = await is_covered(self._store, self.node, at)
        except StoreError:
            covered = False
        if stored is not None and not covered:
            self._recorder.open_gap(stored, at, "no monitor was running")

    def _gap_stored(self) -> None:
        self._reconciler.poke()

    def _behind(self) -> bool:
        return (
            self._intake.waiting > BEHIND
            or self._recorder.interpreter.counters.lag > LAG
            or self._behind_since(LAG) is not None
        )

    def _behind_since(self, slack: float) -> float | None:
        """Return since when events may not be stored, if that is over `slack` s ago."""
        now = time.time()
        oldest = self._recorder.oldest
        until = min(self._receiver.read_until(now), now if oldest is None else oldest)
        return until if now - until > slack else None

    def _lost_touch(self, since: float, until: float, reason: str) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(
                self._recorder.open_gap, since, until, reason
            )

    @property
    def listens(self) -> bool:
        """Whether results are heard as they are stored."""
        return self._channel.connected

    def _lost_backend(self, since: float, until: float, reason: str) -> None:
        self._recorder.open_gap(since, until, f"the result backend: {reason}")

    async def _beat(self) -> None:
        while True:
            self._attention.tick()
            try:
                await self._store.beat(self.image(), now=time.time())
            except StoreError as error:
                log.debug("no heartbeat: %s", error)
            await asyncio.sleep(BEAT_EVERY)

    async def _sweep(self) -> None:
        while True:
            try:
                more = await self._store.sweep(now=time.time()) > 0
            except StoreError:
                more = False
            await asyncio.sleep(0.05 if more else SWEEP_EVERY)

    async def _count_workers(self) -> None:
        """Note who is stored, and forget those that do not come back."""
        while True:
            forgotten = 0
            try:
                forgotten = await self._forget_workers(time.time())
            except StoreError as error:
                log.debug("workers are not counted: %s", error)
            await asyncio.sleep(0.5 if forgotten >= AT_ONCE else SWEEP_EVERY)

    async def _forget_workers(self, now: float) -> int:
        # By itself: the list of thousands is not held until the next look.
        workers = await self._store.workers(now=now)
        self._worker_limit.update((one.hostname for one in workers), now)
        if not self._reconciler.at_work or self._behind():
            return 0
        return len(await self._cleanup.forget(workers, now))

    def image(self) -> MonitorImage:
        """Return what this monitor says about itself."""
        counters = self._recorder.interpreter.counters
        counted = msgspec.to_builtins(counters)
        heard = counted.pop("last_event_at")
        lag = counted.pop("lag")
        tally = self._reconciler.tally
        behind = self._behind_since(SLOW)
        if behind is not None:
            lag = max(lag, time.time() - behind)
        return MonitorImage(
            id=self.node,
            started_at=rfc3339(self._started_at),
            seen_at=rfc3339(time.time()),
            connected=self._receiver.connected,
            broker=broker_name(self._app),
            last_event_at=rfc3339(heard) if heard else None,
            lag_ms=round(lag * 1000),
            waiting=self._intake.waiting,
            behind_since=None if behind is None else rfc3339(behind),
            writers=self._recorder.helpers,
            reconciling=self._reconciler.at_work,
            reconciled_at=rfc3339(tally.last) if tally.last else None,
            trouble=self._receiver.problem
            or self._reconciler.problem
            or self._gauging.problem
            or self._worker_limit.problem(time.time()),
            durable=self._receiver.keeps,
            samples=tuple(self._recorder.interpreter.samples),
            counters={
                **counted,
                **_counts(tally),
                "missing": self._shortfalls.missing,
                "dropped": self._intake.dropped,
                "workers_refused": self._worker_limit.refused,
                "reconnects": self._receiver.reconnects,
                "backend_reconnects": self._channel.reconnects,
            },
        )


def _is_redis(app: Celery) -> bool:
    try:
        return kind_of(app) == "redis"
    except BackendUnreachable:  # whoever asks it for results says why
        return False


def _counts(tally: Tally) -> dict[str, int]:
    counted = msgspec.to_builtins(tally)
    del counted["last"]
    return {f"reconciler_{name}": number for name, number in counted.items()}
