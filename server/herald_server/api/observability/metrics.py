"""The metrics of `/metrics`, with a token of the scope `read`.

Labels are bounded: topics, states, reasons and codes are fixed words, of the
monitors the first `MAX_MONITORS` are shown, of the queues `MAX_QUEUES`, those that
nobody consumes and the deepest first, and of task names the `MAX_NAMES` that failed
most; `celery_…` shows the first `HERALD_METRICS_SERIES` combinations of name, queue,
host and exception. What is not known is left out. No task is a label. Metrics of other
environments have the label `environment`.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias, cast

from prometheus_client import exposition
from prometheus_client.core import CollectorRegistry, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.openmetrics import exposition as openmetrics
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

_Encoder: TypeAlias = Callable[[CollectorRegistry], bytes]

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
    shared: ServerContext,
    others: Mapping[str, ServerContext | None] = NO_OTHERS,
    accept: str = "",
) -> tuple[bytes, str]:
    """Return all metrics, and their media type; of the store, if it answers.

    The format is OpenMetrics, with exemplars, if `accept` names it, else Prometheus'
    text format. Those of `others`, by the name of their environment (None: not up),
    have its name as the label `environment`.
    """
    metrics = await read_metrics(shared, others)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(MetricsSnapshot(metrics))
    wants_open = openmetrics.CONTENT_TYPE_LATEST.partition(";")[0] in accept
    encoder: Any = openmetrics if wants_open else exposition
    encode = cast(_Encoder, encoder.generate_latest)
    media_type = openmetrics.CONTENT_TYPE_LATEST if wants_open else MEDIA_TYPE
    # Thousands of series take a tenth of a second, in which clients are served.
    return await asyncio.to_thread(encode, registry), media_type


async def read_metrics(
    shared: ServerContext, others: Mapping[str, ServerContext | None] = NO_OTHERS
) -> list[Metric]:
    """Return the families of all metrics, those of `others` with their label."""
    metrics, *more = await asyncio.gather(
        _read_own(shared),
        *(_read_labelled(name, one) for name, one in others.items()),
    )
    if others:
        states = {name: float(one is not None) for name, one in others.items()}
        help_ = "1 while the environment is served"
        metrics.append(make_gauges("environment_up", help_, "environment", states))
    return merge_families([*metrics, *(one for some in more for one in some)])


async def _read_own(shared: ServerContext) -> list[Metric]:
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
