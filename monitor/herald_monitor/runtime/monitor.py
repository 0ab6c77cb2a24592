"""A monitor: receiver, result listener, recorder, reconciler, and heartbeat."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable

import msgspec
from celery import Celery

from herald_core.errors import StoreError
from herald_core.model.gaps import BACKEND_REASON
from herald_core.model.monitors import MonitorView
from herald_core.model.tasks.views import to_rfc3339
from herald_core.model.workers.worker import DRAIN_TIMEOUT_S, FORGET_AFTER_S
from herald_core.settings import MAX_WORKERS
from herald_core.store.ports import Store
from herald_core.system.cancellation import cancel_tasks
from herald_monitor.celery_client.backend.listener import ResultListener
from herald_monitor.celery_client.backend.result_backend import (
    BackendUnreachable,
    detect_backend_kind,
)
from herald_monitor.celery_client.broker.connection import get_broker_name
from herald_monitor.ingest.buffer import EventBuffer
from herald_monitor.ingest.consumers.durable_queue import DurableQueue
from herald_monitor.ingest.listening_time import ListeningClock
from herald_monitor.ingest.loss_monitor import LossMonitor
from herald_monitor.ingest.outbox.losses import OutboxLoss
from herald_monitor.ingest.outbox.options import OutboxOptions, has_outbox
from herald_monitor.ingest.outbox.outbox_reader import OutboxReader
from herald_monitor.ingest.receiver import Receiver
from herald_monitor.ingest.recorder import Recorder
from herald_monitor.ingest.startup_gap import read_last_stored
from herald_monitor.ingest.stream_silence import PROBE_INTERVAL_S
from herald_monitor.ingest.worker_limit import WorkerLimit
from herald_monitor.ingest.writers.autoscaler import WriterPool
from herald_monitor.reconcile.evidence import EvidenceCollector
from herald_monitor.reconcile.queue_metrics import QueueMetrics
from herald_monitor.reconcile.reconciler import Reconciler, ReconcilerStats
from herald_monitor.reconcile.scan import UnfinishedScan
from herald_monitor.reconcile.schedules.setup import SchedulesOptions, make_follower
from herald_monitor.reconcile.version_watch import VersionWatch
from herald_monitor.reconcile.worker_cleanup import MAX_BATCH_WORKERS, WorkerCleanup
from herald_monitor.runtime.event_sources import EventSources
from herald_monitor.runtime.missed_events import MissedEvents

log = logging.getLogger(__name__)

HEARTBEAT_INTERVAL_S = 1.0
SWEEP_INTERVAL_S = 5.0
STOP_TIMEOUT_S = 4.0

MAX_BACKLOG_EVENTS = 1_000
MAX_LAG_S = 2.0
"""Events that wait, and seconds of lag, from which on nothing is called lost."""


HANDOVER_S = 0.5
"""Seconds in which events that were read may not be in the buffer yet."""

SLOW_SWEEP_S = 1.0
"""Seconds of delay in reading and storing events above which it is reported."""


class Monitor:
    """Receives the events of `app`'s broker and stores their meaning in `store`.

    At most `max_workers` workers are stored, unless one of them can be deleted.
    `lost_after`, `shutdown_grace`, `forget_workers`, `reconcile_every`, `queues_every`
    (0: never) and `probe_every` are in seconds. `schedules` says how periodic tasks are
    followed. With a `kept` queue, RabbitMQ stores
    the events until they are in the store, and while no monitor reads. The `outbox` is
    read as well, if there is a Redis for it. `pool` makes writer processes for the same
    `store`.
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
        shutdown_grace: float = DRAIN_TIMEOUT_S,
        forget_workers: float = FORGET_AFTER_S,
        max_workers: int = MAX_WORKERS,
        reconcile_every: float = 10.0,
        queues_every: float = 10.0,
        probe_every: float = PROBE_INTERVAL_S,
        schedules: SchedulesOptions | None = None,
        kept: DurableQueue | None = None,
        outbox: OutboxOptions | None = None,
        pool: Callable[[], WriterPool] | None = None,
    ) -> None:
        self.node = node or f"{socket.gethostname()}-{os.getpid()}"
        self._app = app
        self._store = store
        self._buffer = EventBuffer()
        self._recorder = Recorder(
            self._buffer,
            store,
            redact,
            self.node,
            self._on_gap_stored,
            pool,
            self._share_work,
        )
        sources = EvidenceCollector(app, store, redact)
        self._listening_clock = ListeningClock(
            lambda: self._events.get_listening_start()
        )
        survey = UnfinishedScan(
            store,
            sources,
            lost_after,
            shutdown_grace,
            self._is_behind,
            self._listening_clock.get_start,
        )
        self._reconciler = Reconciler(
            store, survey, sources, self.node, reconcile_every
        )
        self._worker_limit = WorkerLimit(max_workers)
        self._recorder.parser.admits = self._worker_limit.is_admitted
        self._cleanup = WorkerCleanup(
            store, lost_after + shutdown_grace, forget_workers, max_workers
        )
        self._version_watch = VersionWatch(store)
        self._queue_metrics = QueueMetrics(
            app, store, lambda: self._reconciler.is_leader, queues_every
        )
        self._schedules = make_follower(
            app,
            store,
            redact,
            schedules or SchedulesOptions(),
            lambda: self._reconciler.is_leader,
            self._find_stored_until,
        )
        self._loss_monitor = LossMonitor(sources.inspection, self._recorder.open_gap)
        self._recorder.parser.listener = self._loss_monitor
        self._receiver = Receiver(
            app,
            deliver=self._worker_limit.wrap_deliver(self._buffer.put_threadsafe),
            lost_touch=self._on_broker_gap,
            poison=self._recorder.parser.quarantine,
            probe_every=probe_every,
            kept=kept,
        )
        self._events = EventSources(app, self._receiver, self._make_outbox(outbox))
        self._missed = MissedEvents(
            store, self._events, self.node, self._recorder.open_gap
        )
        self._result_listener = ResultListener(
            app,
            deliver=self._buffer.put,
            lost_touch=self._on_backend_gap,
            poison=self._recorder.parser.quarantine,
            redact=redact,
        )
        self._listen_backend = listen_backend
        self._loop: asyncio.AbstractEventLoop | None = None
        self._started_at = time.time()

    def _make_outbox(self, options: OutboxOptions | None) -> OutboxReader | None:
        if options is None or not has_outbox(self._app, options):
            return None
        return OutboxReader(
            self._app,
            options,
            self.node,
            deliver=self._worker_limit.wrap_deliver(self._buffer.put_from_outbox),
            on_loss=self._on_outbox_loss,
            on_invalid=self._recorder.parser.quarantine,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop`; then store the received events, in a few seconds."""
        self._loop = asyncio.get_running_loop()
        self._buffer.attach(self._loop)
        stored = await self._read_last_stored()
        self._events.start(expects_history=stored is not None)
        if self._listen_backend and _is_redis(self._app):
            self._result_listener.start()
        tasks = [
            asyncio.create_task(self._recorder.run()),
            asyncio.create_task(self._heartbeat()),
            asyncio.create_task(self._run_sweeps()),
            asyncio.create_task(self._update_worker_limit()),
            asyncio.create_task(self._reconciler.run()),
            asyncio.create_task(self._loss_monitor.run()),
            asyncio.create_task(self._queue_metrics.run()),
            asyncio.create_task(self._schedules.run()),
        ]
        starting = asyncio.create_task(self._missed.decide_start(stored))
        stopped = asyncio.create_task(stop.wait())
        try:
            done, _ = await asyncio.wait(
                [*tasks, stopped], return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            await asyncio.gather(
                self._events.stop_receiving(), self._result_listener.stop()
            )
            decisions = self._missed.list_decisions()
            await cancel_tasks(*tasks, *decisions, starting, stopped)
        try:
            for task in done - {stopped}:
                task.result()
            await self._finish()
        finally:
            await self._events.close()
            await self._recorder.close()

    async def _finish(self) -> None:
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S / 2):
                await self._recorder.drain()
        except TimeoutError:
            log.error(
                "%d events could not be stored before the end: %s",
                self._buffer.waiting,
                self._recorder.problem or "the store is too slow",
            )

    async def _read_last_stored(self) -> float | None:
        try:
            return await read_last_stored(self._store)
        except StoreError as error:
            log.warning("%s", error)
            return None

    def _share_work(self, shared: bool) -> None:
        """Leave the reading of events to the processes that share the work."""
        self._events.set_headers_only(shared)

    def _on_gap_stored(self) -> None:
        self._reconciler.wake()

    def _is_behind(self) -> bool:
        return (
            self._buffer.waiting > MAX_BACKLOG_EVENTS
            or self._recorder.parser.counters.lag > MAX_LAG_S
            or self._find_behind_since(MAX_LAG_S) is not None
        )

    def _find_behind_since(self, slack: float) -> float | None:
        """Return since when events may not be stored, if that is over `slack` s ago."""
        now = time.time()
        until = self._find_stored_until(now)
        return until if now - until > slack else None

    def _find_stored_until(self, now: float) -> float:
        """Return the time before which all events are stored (unix seconds)."""
        oldest = self._recorder.oldest
        return min(self._events.get_read_until(now), now if oldest is None else oldest)

    def _on_broker_gap(self, since: float, until: float, reason: str) -> None:
        self._call_on_loop(self._missed.start_decision, since, until, reason)

    def _on_outbox_loss(self, loss: OutboxLoss) -> None:
        self._call_on_loop(
            self._recorder.open_gap, loss.since, loss.until, loss.reason, 0, loss.key
        )

    def _call_on_loop(self, call: Callable[..., object], *words: object) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(call, *words)

    @property
    def listens_to_results(self) -> bool:
        """True if results are received as they are stored."""
        return self._result_listener.connected

    def _on_backend_gap(self, since: float, until: float, reason: str) -> None:
        self._recorder.open_gap(since, until, f"{BACKEND_REASON}{reason}")

    async def _heartbeat(self) -> None:
        while True:
            self._listening_clock.tick()
            try:
                await self._store.record_heartbeat(self.make_view(), now=time.time())
            except StoreError as error:
                log.debug("no heartbeat: %s", error)
            await asyncio.sleep(HEARTBEAT_INTERVAL_S)

    async def _run_sweeps(self) -> None:
        while True:
            try:
                more = await self._store.expire_tasks(now=time.time()) > 0
            except StoreError:
                more = False
            await asyncio.sleep(0.05 if more else SWEEP_INTERVAL_S)

    async def _update_worker_limit(self) -> None:
        """Record the stored workers, mark new versions of them, and delete those that
        do not come back.
        """
        while True:
            forgotten = 0
            try:
                forgotten = await self._delete_gone_workers(time.time())
            except StoreError as error:
                log.debug("workers are not counted: %s", error)
            await asyncio.sleep(
                0.5 if forgotten >= MAX_BATCH_WORKERS else SWEEP_INTERVAL_S
            )

    async def _delete_gone_workers(self, now: float) -> int:
        # By itself: the list of thousands is not held until the next look.
        workers = await self._store.list_workers(now=now)
        self._worker_limit.update((one.hostname for one in workers), now)
        if not self._reconciler.is_leader or self._is_behind():
            return 0
        await self._version_watch.check(workers, now)
        return len(await self._cleanup.delete_oldest(workers, now))

    def make_view(self) -> MonitorView:
        """Return the view of this monitor."""
        counters = self._recorder.parser.counters
        counted = msgspec.to_builtins(counters)
        heard = counted.pop("last_event_at")
        lag = counted.pop("lag")
        tally = self._reconciler.stats
        behind = self._find_behind_since(SLOW_SWEEP_S)
        silent = self._receiver.silent_since
        since = self._events.get_listening_start()
        stored = self._find_stored_until(time.time()) - HANDOVER_S
        if behind is not None:
            lag = max(lag, time.time() - behind)
        return MonitorView(
            id=self.node,
            started_at=to_rfc3339(self._started_at),
            seen_at=to_rfc3339(time.time()),
            connected=self._events.connected,
            broker=get_broker_name(self._app),
            last_event_at=to_rfc3339(heard) if heard else None,
            lag_ms=round(lag * 1000),
            waiting=self._buffer.waiting,
            behind_since=None if behind is None else to_rfc3339(behind),
            silent_since=None if silent is None else to_rfc3339(silent),
            connected_since=to_rfc3339(since) if since else None,
            stored_until=to_rfc3339(stored) if since else None,
            writers=self._recorder.writer_count,
            reconciling=self._reconciler.is_leader,
            reconciled_at=to_rfc3339(tally.last) if tally.last else None,
            trouble=self._events.problem
            or self._reconciler.problem
            or self._queue_metrics.problem
            or self._worker_limit.describe_problem(time.time())
            or self._schedules.problem,
            durable=self._receiver.is_durable,
            outbox=self._events.make_outbox_view(),
            samples=tuple(self._recorder.parser.samples),
            counters={
                **counted,
                **_list_counts(tally),
                "missing": self._loss_monitor.missing,
                "dropped": self._buffer.dropped,
                "workers_refused": self._worker_limit.refused,
                **self._events.list_counts(),
                **self._missed.list_counts(),
                "backend_reconnects": self._result_listener.reconnects,
            },
        )


def _is_redis(app: Celery) -> bool:
    try:
        return detect_backend_kind(app) == "redis"
    except BackendUnreachable:  # a query for results reports the reason
        return False


def _list_counts(tally: ReconcilerStats) -> dict[str, int]:
    counted = msgspec.to_builtins(tally)
    del counted["last"]
    return {f"reconciler_{name}": number for name, number in counted.items()}
