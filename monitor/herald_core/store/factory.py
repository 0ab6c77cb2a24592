"""Which store the settings name."""

from __future__ import annotations

from herald_core.model.index_limits import IndexLimits
from herald_core.model.queries.argument_index import ArgumentIndex
from herald_core.model.rollups.counter_delta import CounterRules
from herald_core.model.workers.worker import FORGET_AFTER_S
from herald_core.settings import MonitorSettings
from herald_core.store.index_file import read_index
from herald_core.store.partitioned.routing import list_prefixes
from herald_core.store.partitioned.store import PartitionedStore
from herald_core.store.redis.store import LOG_BYTES, RedisStore
from herald_core.store.redis.writer import SCRIPT_BATCH


def make_store(
    settings: MonitorSettings, step: int = SCRIPT_BATCH
) -> RedisStore | PartitionedStore:
    """Return the store, not opened yet; `step` is how many changes a script stores."""
    number = settings.partitions
    index = read_index(settings.catalog)
    if number == 1:
        return _make_partition(settings, settings.store_prefix, LOG_BYTES, step, index)
    each = LOG_BYTES // number
    return PartitionedStore(
        [
            _make_partition(settings, prefix, each, step, index, part)
            for part, prefix in enumerate(list_prefixes(settings.store_prefix, number))
        ]
    )


def _make_partition(
    settings: MonitorSettings,
    prefix: str,
    log_bytes: int,
    step: int,
    index: ArgumentIndex | None,
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
        # Only idle workers are deleted earlier (WorkerCleanup).
        forget_workers=max(settings.forget_workers, FORGET_AFTER_S),
        apart=IndexLimits(
            name=settings.indexed_names,
            worker=settings.max_workers,
            queue=settings.indexed_queues,
            tag=settings.indexed_tags,
        ),
        index=index,
        counters=make_counter_rules(settings),
    )


def make_counter_rules(settings: MonitorSettings) -> CounterRules:
    """Return how the settings say that events are counted for Prometheus."""
    return CounterRules(
        settings.metrics_runtime_buckets,
        settings.metrics_wait_buckets,
        settings.metrics_hosts,
        settings.metrics_series,
        settings.metrics_retention,
    )
