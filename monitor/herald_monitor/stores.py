"""Which store the settings name."""

from __future__ import annotations

from herald_monitor.config import MonitorSettings
from herald_monitor.model.keys import Apart
from herald_monitor.model.workers import FORGET_AFTER
from herald_monitor.partitioned_store import PartitionedStore
from herald_monitor.partitions import prefixes
from herald_monitor.redis_store import LOG_BYTES, RedisStore
from herald_monitor.redis_writer import STEP


def store_of(
    settings: MonitorSettings, step: int = STEP
) -> RedisStore | PartitionedStore:
    """Return the store, not opened yet; `step` is how many changes a script stores."""
    number = settings.partitions
    if number == 1:
        return _part_of(settings, settings.store_prefix, LOG_BYTES, step)
    each = LOG_BYTES // number
    return PartitionedStore(
        [
            _part_of(settings, prefix, each, step, part)
            for part, prefix in enumerate(prefixes(settings.store_prefix, number))
        ]
    )


def _part_of(
    settings: MonitorSettings,
    prefix: str,
    log_bytes: int,
    step: int,
    part: int | None = None,
) -> RedisStore:
    return RedisStore(
        settings.store_url,
        prefix=prefix,
        retention=settings.retention,
        keep_unfinished=settings.keep_unfinished,
        log_length=settings.log_length,
        log_bytes=log_bytes,
        step=step,
        part=part,
        # Sooner, only those on which nothing runs are forgotten (WorkerCleanup).
        forget_workers=max(settings.forget_workers, FORGET_AFTER),
        apart=Apart(
            name=settings.indexed_names,
            worker=settings.max_workers,
            queue=settings.indexed_queues,
            tag=settings.indexed_tags,
        ),
    )
