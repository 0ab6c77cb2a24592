"""The monitor as a process: settings in, signals heard, exit code out."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable

from celery import Celery

from herald_monitor.celery_app import app_for, load_app, restrict
from herald_monitor.config import MonitorSettings
from herald_monitor.errors import BadInput
from herald_monitor.model.redaction import Redactor
from herald_monitor.monitor import Monitor
from herald_monitor.overflow import Pool
from herald_monitor.partitioned_store import PartitionedStore
from herald_monitor.rare_collection import collect_rarely
from herald_monitor.redis_store import RedisStore
from herald_monitor.returned_memory import return_large_blocks, return_often
from herald_monitor.store import Store
from herald_monitor.stores import store_of
from herald_monitor.transports import shortcomings
from herald_monitor.writing_pool import WritingPool

log = logging.getLogger(__name__)


def celery_of(settings: MonitorSettings) -> Celery:
    """Return the app to hear: `-A`, or made from the URLs. Raises `HeraldError`."""
    if settings.app:
        return load_app(settings.app)
    if settings.broker_url:
        return app_for(
            settings.broker_url,
            settings.result_backend,
            transport=settings.transport_options,
            results=settings.backend_options,
            **settings.celery_settings,
        )
    raise BadInput(
        "no broker is known; give --broker URL (HERALD_BROKER_URL), or -A PROJECT"
    )


def monitor_of(settings: MonitorSettings, app: Celery, store: Store) -> Monitor:
    """Return a monitor of `app` as the settings want it, not running yet.

    What its broker cannot give is told in the log.
    """
    if said := shortcomings(app):
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
        kept=settings.kept_queue,
        pool=pool_of(settings, store),
    )


def pool_of(settings: MonitorSettings, store: Store) -> Callable[[], Pool] | None:
    """Return what makes processes that store in `store`; None if it lies in ours."""
    number = settings.writers
    if number is None:
        # Two take turns with the store on two processors, and leave none idle.
        number = max(processors() // 2, min(processors(), 2))
    if not number or not isinstance(store, RedisStore | PartitionedStore):
        return None
    told = settings.model_dump_json()
    return lambda: WritingPool(told, number)


def processors() -> int:
    """Return how many processors we may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


async def monitor(settings: MonitorSettings, app: Celery | None = None) -> None:
    """Monitor until SIGTERM or SIGINT. Raises `HeraldError` if it cannot start."""
    app = restrict(app) if app else celery_of(settings)
    store = store_of(settings)
    await store.open()
    for warning in store.warnings:
        log.warning("%s", warning)
    collect_rarely()
    return_large_blocks()
    returning = asyncio.create_task(return_often())
    try:
        await monitor_of(settings, app, store).run(stop_on_signals())
    finally:
        returning.cancel()
        await store.close()


def stop_on_signals() -> asyncio.Event:
    """Return what is set by SIGTERM or SIGINT; a second SIGINT stops at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def interrupted() -> None:
        if stop.is_set():
            raise SystemExit(130)
        stop.set()

    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGINT, interrupted)
    return stop
