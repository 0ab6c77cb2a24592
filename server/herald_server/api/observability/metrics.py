"""The metrics of `/metrics`, with a token of the scope `read`.

| name | labels | what it counts |
|---|---|---|
| `herald_connections` | | WebSockets that are open |
| `herald_watchers` | `topic` | subscriptions, WebSocket and others |
| `herald_frames_sent_total` | | frames sent over WebSockets |
| `herald_bytes_sent_total` | | bytes of those frames |
| `herald_resets_total` | `reason` | subscriptions that had to start over |
| `herald_closes_total` | `code` | WebSockets that this server closed |
| `herald_refused_total` | `reason` | what was refused, see "Limits" |
| `herald_push_latency_seconds` | `quantile` | event → frame handed over, 5 minutes |
| `herald_log_breaks_total` | | times the change log broke off |
| `herald_log_age_seconds` | | since the log moved last (+Inf: never) |
| `herald_store_up` | | 1 while the store answers |
| `herald_store_memory_bytes` | | memory of the store's servers |
| `herald_store_memory_max_bytes` | | at which they are full (+Inf: no bound) |
| `herald_tasks` | `state` | tasks in the store |
| `herald_workers` | `state` | workers that were heard of |
| `herald_lately` | `word` | what happened to tasks in the last five minutes |
| `herald_lately_runtime_seconds` | `quantile` | runtimes of what succeeded then |
| `herald_lately_failures` | `name` | failures then, by task name |
| `herald_failing_unusually` | | names that fail more than usual |
| `herald_gaps_open` | | stretches in which events may be missing |
| `herald_gaps_last_hour` | | those of the last hour, and open ones |
| `herald_gaps_unrepairable` | | those of the last hour in which tasks may be missing |
| `herald_queue_depth` | `queue` | messages that wait |
| `herald_queue_oldest_age_seconds` | `queue` | since when the oldest waits |
| `herald_queue_consumers` | `queue` | workers that take from it |
| `herald_queues_stranded` | | queues in which messages wait for nobody |
| `herald_queues_perhaps_stranded` | | the same, but some workers did not answer |
| `herald_monitor_connected` | `monitor` | 1 while it hears the broker |
| `herald_monitor_lag_seconds` | `monitor` | event heard → event stored |
| `herald_monitor_waiting` | `monitor` | events that wait to be stored |
| `herald_monitor_writers` | `monitor` | processes that help it in a flood |
| `herald_monitor_outbox_lag_seconds` | `monitor` | oldest entry that is not stored |
| `herald_monitor_outbox_unread` | `monitor` | entries that no monitor has read |
| `herald_monitor_outbox_pending` | `monitor` | entries read, and not stored |
| `herald_monitor_…_total` | `monitor` | what it counts, see `COUNTERS` |
| `herald_environment_up` | `environment` | 1 while another environment is served |
| `herald_webhook_…` | `webhook` | see `webhooks/metrics.py` |

Labels are bounded: topics, states, reasons and codes are fixed words, of the
monitors the first `MAX_MONITORS` are shown, of the queues `MAX_QUEUES`, those that
nobody consumes and the deepest first, and of task names the `MAX_NAMES` that failed
most. What is not known is left out. No task and no worker is a label. Metrics of
other environments have the label `environment`.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Iterable, Iterator, Mapping

from prometheus_client.core import CollectorRegistry, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from herald_core.model.rollups.rollup import compute_percentile
from herald_server.api.context import ServerContext
from herald_server.api.observability.prometheus import (
    add_label,
    make_counter,
    make_counters,
    make_gauge,
    make_gauges,
    merge_families,
)
from herald_server.api.observability.store_metrics import (
    COUNTERS,
    QUANTILES,
    read_store_metrics,
)
from herald_server.push.log.hub import TOPICS

MEDIA_TYPE = CONTENT_TYPE_LATEST

OTHER_TIMEOUT_S = 1.0
"""Seconds for the store of another environment: it must not delay these metrics."""

NO_OTHERS: Mapping[str, ServerContext | None] = {}

__all__ = ["COUNTERS", "MEDIA_TYPE", "render_metrics"]


class MetricsSnapshot(Collector):
    """Metrics as they were at one moment."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = list(metrics)

    def collect(self) -> Iterator[Metric]:
        """Yield them."""
        yield from self._metrics


async def render_metrics(
    shared: ServerContext, others: Mapping[str, ServerContext | None] = NO_OTHERS
) -> bytes:
    """Return all metrics in Prometheus' text format; of the store, if it answers.

    Those of `others`, by the name of their environment (None: not up), have its name
    as the label `environment`.
    """
    metrics, *more = await asyncio.gather(
        _read_metrics(shared),
        *(_read_labelled(name, one) for name, one in others.items()),
    )
    if others:
        states = {name: float(one is not None) for name, one in others.items()}
        help_ = "1 while the environment is served"
        metrics.append(make_gauges("environment_up", help_, "environment", states))
    metrics = merge_families([*metrics, *(one for some in more for one in some)])
    registry = CollectorRegistry(auto_describe=False)
    registry.register(MetricsSnapshot(metrics))
    return generate_latest(registry)


async def _read_metrics(shared: ServerContext) -> list[Metric]:
    return [*_make_process_metrics(shared), *await read_store_metrics(shared)]


async def _read_labelled(name: str, shared: ServerContext | None) -> list[Metric]:
    """Return the metrics of another environment; none of its store if that is slow."""
    if shared is None:
        return []
    metrics = [*_make_process_metrics(shared)]
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(OTHER_TIMEOUT_S):
            metrics += await read_store_metrics(shared)
    return [add_label(one, "environment", name) for one in metrics]


def _make_process_metrics(shared: ServerContext) -> Iterator[Metric]:
    tally, hub, feed = shared.metrics, shared.hub, shared.log_reader
    yield make_gauge("connections", "Open WebSockets", tally.connections)
    watchers = {topic: hub.count_subscribers(kind) for topic, kind in TOPICS.items()}
    yield make_gauges("watchers", "Subscriptions", "topic", watchers)
    yield make_counter("frames_sent", "Frames sent over WebSockets", tally.frames)
    yield make_counter("bytes_sent", "Bytes sent over WebSockets", tally.bytes)
    yield make_counters(
        "resets", "Subscriptions that were reset", "reason", tally.resets
    )
    codes = {str(code): n for code, n in tally.closes.items()}
    yield make_counters("closes", "WebSockets closed by this server", "code", codes)
    yield make_counters("refused", "Refused requests", "reason", tally.refusals)
    yield make_counter(
        "log_breaks", "Times that the change log could not be read on", feed.resets
    )
    age = time.monotonic() - feed.alive_at if feed.alive_at else math.inf
    yield make_gauge(
        "log_age_seconds", "Seconds since the newest entry of the change log", age
    )
    yield _make_push_metrics(shared)


def _make_push_metrics(shared: ServerContext) -> Metric:
    found = shared.metrics.pushes.merge_buckets(time.monotonic())
    took = {str(part): compute_percentile(found, part) for part in QUANTILES}
    help_ = "Seconds from a task's event to its frame, in the last five minutes"
    known = {part: value for part, value in took.items() if value is not None}
    return make_gauges("push_latency_seconds", help_, "quantile", known)
