"""The monitor as a process: settings, signals, exit code."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable

from celery import Celery

from herald_core.model.events.redaction import Redactor
from herald_core.settings import MonitorSettings
from herald_core.store.factory import make_store
from herald_core.store.index_file import declare_index, read_index
from herald_core.store.partitioned.store import PartitionedStore
from herald_core.store.ports import Store
from herald_core.store.redis.store import RedisStore
from herald_core.system.cancellation import run_in_background
from herald_core.system.gc_tuning import tune_gc
from herald_core.system.memory_release import return_large_blocks, return_periodically
from herald_monitor.celery_client.app.celery_app import restrict
from herald_monitor.ingest.consumers.broker_support import describe_limitations
from herald_monitor.ingest.consumers.durable_queue import DurableQueue
from herald_monitor.ingest.outbox.options import OutboxOptions, has_outbox
from herald_monitor.ingest.writers.autoscaler import WriterPool
from herald_monitor.ingest.writers.pool import WriterProcessPool
from herald_monitor.reconcile.schedules.setup import SchedulesOptions
from herald_monitor.runtime.monitor import Monitor
from herald_monitor.runtime.process import load_celery_app, stop_on_signals

log = logging.getLogger(__name__)


def build_monitor(settings: MonitorSettings, app: Celery, store: Store) -> Monitor:
    """Return a monitor of `app` with the settings, not running yet.

    Limitations of its broker are logged. Raises `InvalidInput` if the `[schedules]` of
    the herald.toml are not valid.
    """
    outbox = make_outbox_options(settings)
    if said := describe_limitations(app, outbox=has_outbox(app, outbox)):
        log.warning("%s", said)
    return Monitor(
        app,
        store,
        Redactor(settings.redact),
        settings.node,
        listen_backend=settings.listen_backend,
        lost_after=settings.lost_after,
        shutdown_grace=settings.shutdown_grace,
        forget_workers=settings.forget_workers,
        max_workers=settings.max_workers,
        reconcile_every=settings.reconcile_every,
        queues_every=settings.queues_every,
        schedules=SchedulesOptions(
            settings.schedules_every, settings.schedules_grace, settings.catalog
        ),
        kept=make_durable_queue(settings),
        outbox=outbox,
        pool=make_pool_factory(settings, store),
    )


def make_durable_queue(settings: MonitorSettings) -> DurableQueue | None:
    """Return the durable queue for events, if there is to be one."""
    if not settings.durable_events:
        return None
    return DurableQueue(
        settings.event_queue,
        settings.event_queue_length,
        settings.event_queue_ttl,
        settings.event_queue_expires,
    )


def make_outbox_options(settings: MonitorSettings) -> OutboxOptions:
    """Return where the outbox is, if there is one."""
    return OutboxOptions(
        url=settings.outbox_url,
        stream=settings.outbox_stream,
        streams=settings.outbox_streams,
        group=settings.outbox_group,
        keep=settings.outbox_keep,
    )


def make_pool_factory(
    settings: MonitorSettings, store: Store
) -> Callable[[], WriterPool] | None:
    """Return a factory of writer processes for `store`; None for a store in memory."""
    number = settings.writers
    if number is None:
        # Two take turns with the store on two processors, and leave none idle.
        number = max(count_cpus() // 2, min(count_cpus(), 2))
    if not number or not isinstance(store, RedisStore | PartitionedStore):
        return None
    return lambda: WriterProcessPool(settings.to_env(), number)


def count_cpus() -> int:
    """Return how many processors we may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


async def run_monitor(settings: MonitorSettings, app: Celery | None = None) -> None:
    """Monitor until SIGTERM or SIGINT. Raises `HeraldError` if it cannot start."""
    app = restrict(app) if app else load_celery_app(settings)
    store = make_store(settings)
    await store.open()
    for warning in store.warnings:
        log.warning("%s", warning)
    await declare_index(store, read_index(settings.catalog), time.time())
    tune_gc()
    return_large_blocks()
    try:
        async with run_in_background(return_periodically()):
            await build_monitor(settings, app, store).run(stop_on_signals())
    finally:
        await store.close()
