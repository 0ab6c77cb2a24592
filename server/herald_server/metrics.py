"""What Prometheus is told at `/metrics`, with a token of the scope `read`.

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
| `herald_queue_depth` | `queue` | messages that wait |
| `herald_queue_oldest_age_seconds` | `queue` | since when the oldest waits |
| `herald_queue_consumers` | `queue` | workers that take from it |
| `herald_queues_stranded` | | queues in which messages wait for nobody |
| `herald_queues_perhaps_stranded` | | the same, but some workers did not answer |
| `herald_monitor_connected` | `monitor` | 1 while it hears the broker |
| `herald_monitor_lag_seconds` | `monitor` | event heard → event stored |
| `herald_monitor_waiting` | `monitor` | events that wait to be stored |
| `herald_monitor_writers` | `monitor` | processes that help it in a flood |
| `herald_monitor_…_total` | `monitor` | what it counts, see `COUNTERS` |
| `herald_webhook_…` | `webhook` | see `webhooks/measures.py` |

Labels are bounded: topics, states, reasons and codes are fixed words, of the
monitors the first `MAX_MONITORS` are shown, of the queues `MAX_QUEUES`, those that
nobody consumes and the deepest first, and of task names the `MAX_NAMES` that failed
most. What is not known is left out. No task and no worker is a label.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator

from prometheus_client.core import CollectorRegistry, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from herald_monitor.model.rollups import percentile
from herald_server.families import counter, counters, gauge, gauges
from herald_server.hub import TOPICS
from herald_server.metrics_store import COUNTERS, QUANTILES, of_store
from herald_server.state import Shared

MEDIA_TYPE = CONTENT_TYPE_LATEST

__all__ = ["COUNTERS", "MEDIA_TYPE", "exposition"]


class Snapshot(Collector):
    """Metrics as they were at one moment."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = list(metrics)

    def collect(self) -> Iterator[Metric]:
        """Yield them."""
        yield from self._metrics


async def exposition(shared: Shared) -> bytes:
    """Return all metrics in Prometheus' text format; of the store, if it answers."""
    metrics = [*_process(shared), *await of_store(shared)]
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Snapshot(metrics))
    return generate_latest(registry)


def _process(shared: Shared) -> Iterator[Metric]:
    tally, hub, feed = shared.tally, shared.hub, shared.feed
    yield gauge("connections", "WebSockets that are open", tally.connections)
    watchers = {topic: hub.watchers(kind) for topic, kind in TOPICS.items()}
    yield gauges("watchers", "Subscriptions", "topic", watchers)
    yield counter("frames_sent", "Frames sent over WebSockets", tally.frames)
    yield counter("bytes_sent", "Bytes of those frames", tally.bytes)
    yield counters("resets", "Subscriptions that started over", "reason", tally.resets)
    codes = {str(code): n for code, n in tally.closes.items()}
    yield counters("closes", "WebSockets that this server closed", "code", codes)
    yield counters("refused", "What was refused", "reason", tally.refusals)
    yield counter("log_breaks", "Times the change log broke off", feed.resets)
    age = time.monotonic() - feed.alive_at if feed.alive_at else math.inf
    yield gauge("log_age_seconds", "Seconds since the log moved last", age)
    yield _pushes(shared)


def _pushes(shared: Shared) -> Metric:
    found = shared.tally.pushes.buckets(time.monotonic())
    took = {str(part): percentile(found, part) for part in QUANTILES}
    help_ = "Seconds from a task's event to its frame, in the last five minutes"
    known = {part: value for part, value in took.items() if value is not None}
    return gauges("push_latency_seconds", help_, "quantile", known)
