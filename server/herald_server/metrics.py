"""What Prometheus is told at `/metrics`, with a token of the scope `read`.

| name | labels | what it counts |
|---|---|---|
| `herald_connections` | | WebSockets that are open |
| `herald_watchers` | `topic` | subscriptions, WebSocket and others |
| `herald_frames_sent_total` | | frames sent over WebSockets |
| `herald_bytes_sent_total` | | bytes of those frames |
| `herald_resets_total` | `reason` | subscriptions that had to start over |
| `herald_closes_total` | `code` | WebSockets that this server closed |
| `herald_log_breaks_total` | | times the change log broke off |
| `herald_log_age_seconds` | | since the log moved last (+Inf: never) |
| `herald_store_up` | | 1 while the store answers |
| `herald_tasks` | `state` | tasks in the store |
| `herald_gaps_open` | | stretches in which events may be missing |
| `herald_monitor_connected` | `monitor` | 1 while it hears the broker |
| `herald_monitor_lag_seconds` | `monitor` | event heard → event stored |
| `herald_monitor_waiting` | `monitor` | events that wait to be stored |
| `herald_monitor_…_total` | `monitor` | what it counts, see `COUNTERS` |

Labels are bounded: topics, states, reasons and codes are fixed words, and of the
monitors the first `MAX_MONITORS` are shown. No task and no worker is a label.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence

from prometheus_client.core import (
    CollectorRegistry,
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from herald_monitor.errors import StoreError
from herald_monitor.store import MonitorImage
from herald_server.hub import TOPICS
from herald_server.state import Shared

MEDIA_TYPE = CONTENT_TYPE_LATEST
MAX_MONITORS = 20

COUNTERS = {
    "events": "Events heard",
    "task_events": "Events about tasks",
    "worker_events": "Events about workers",
    "other_events": "Events about neither",
    "changes": "Changes stored",
    "batches": "Batches stored",
    "retries": "Batches that had to be stored again",
    "poison": "Events that could not be read",
    "dropped": "Events that did not fit into memory",
    "reconnects": "Connections to the broker after the first",
}
"""What a monitor counts, as it is told with its heartbeat."""


class Snapshot(Collector):
    """Metrics as they were at one moment."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = list(metrics)

    def collect(self) -> Iterator[Metric]:
        """Yield them."""
        yield from self._metrics


async def exposition(shared: Shared) -> bytes:
    """Return all metrics in Prometheus' text format; of the store, if it answers."""
    metrics = [*_process(shared), *await _store(shared)]
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Snapshot(metrics))
    return generate_latest(registry)


def _process(shared: Shared) -> Iterator[Metric]:
    tally, hub, feed = shared.tally, shared.hub, shared.feed
    yield _gauge("connections", "WebSockets that are open", tally.connections)
    watchers = {topic: hub.watchers(kind) for topic, kind in TOPICS.items()}
    yield _gauges("watchers", "Subscriptions", "topic", watchers)
    yield _counter("frames_sent", "Frames sent over WebSockets", tally.frames)
    yield _counter("bytes_sent", "Bytes of those frames", tally.bytes)
    yield _counters("resets", "Subscriptions that started over", "reason", tally.resets)
    codes = {str(code): n for code, n in tally.closes.items()}
    yield _counters("closes", "WebSockets that this server closed", "code", codes)
    yield _counter("log_breaks", "Times the change log broke off", feed.resets)
    age = time.monotonic() - feed.alive_at if feed.alive_at else math.inf
    yield _gauge("log_age_seconds", "Seconds since the log moved last", age)


async def _store(shared: Shared) -> list[Metric]:
    store = shared.store
    try:
        tasks, gaps = await store.counts(), await store.gaps()
        monitors = await store.monitors()
    except StoreError:
        return [_gauge("store_up", "Whether the store answers", 0)]
    opened = sum(gap.state == "open" for gap in gaps)
    return [
        _gauge("store_up", "Whether the store answers", 1),
        _gauges("tasks", "Tasks in the store", "state", tasks),
        _gauge("gaps_open", "Stretches in which events may be missing", opened),
        *_monitors(sorted(monitors, key=lambda m: m.id)[:MAX_MONITORS]),
    ]


def _monitors(monitors: Sequence[MonitorImage]) -> Iterator[Metric]:
    def of(name: str, help_: str, values: Mapping[str, float]) -> Metric:
        return _gauges(f"monitor_{name}", help_, "monitor", values)

    yield of(
        "connected",
        "Whether it hears the broker",
        {m.id: float(m.connected) for m in monitors},
    )
    yield of(
        "lag_seconds",
        "Seconds from hearing an event to storing it",
        {m.id: m.lag_ms / 1000 for m in monitors},
    )
    yield of(
        "waiting",
        "Events that wait to be stored",
        {m.id: m.waiting for m in monitors},
    )
    for name, help_ in COUNTERS.items():
        counted = {m.id: m.counters[name] for m in monitors if name in m.counters}
        yield _counters(f"monitor_{name}", help_, "monitor", counted)


def _gauge(name: str, help_: str, value: float) -> Metric:
    return GaugeMetricFamily(f"herald_{name}", help_, value=value)


def _counter(name: str, help_: str, value: float) -> Metric:
    return CounterMetricFamily(f"herald_{name}", help_, value=value)


def _gauges(name: str, help_: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(f"herald_{name}", help_, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def _counters(name: str, help_: str, label: str, values: Mapping[str, float]) -> Metric:
    family = CounterMetricFamily(f"herald_{name}", help_, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family
