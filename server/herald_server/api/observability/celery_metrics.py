"""Metrics of Celery under the names and labels of celery-exporter.

Its published boards and alerts (celery-mixin) read them unchanged. The counters come
from the store: they are the same on every server, and survive a restart of all.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate

import msgspec
from prometheus_client import utils
from prometheus_client.core import (
    CounterMetricFamily,
    Exemplar,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from herald_core.model.rollups.counter_delta import CounterLabels
from herald_core.model.workers.queue import QueueView
from herald_core.model.workers.worker import DRAINING, ONLINE, WorkerView
from herald_core.store.task_counters import TaskCounter, merge_task_counters
from herald_server.api.context import CeleryMetricsOptions
from herald_server.api.observability.prometheus import make_counter

UNKNOWN = "None"
"""celery-exporter's word for a name or host that is not known; its boards omit it."""

TASK_COUNTERS = {
    "submitted": ("celery_task_sent", "Messages of tasks that clients sent"),
    "received": ("celery_task_received", "Tasks that workers received"),
    "started": ("celery_task_started", "Tasks that workers started"),
    "succeeded": ("celery_task_succeeded", "Tasks that succeeded"),
    "failed": ("celery_task_failed", "Tasks that failed"),
    "rejected": ("celery_task_rejected", "Tasks that workers rejected"),
    "revoked": ("celery_task_revoked", "Tasks that were revoked"),
    "retried": ("celery_task_retried", "Tasks that failed and run again"),
}
"""Names and texts of the counters, by event."""

TASK_LABELS = ("name", "hostname", "queue_name")
LIVING_STATES = (ONLINE, DRAINING)


def make_celery_metrics(
    counters: Sequence[TaskCounter],
    workers: Sequence[WorkerView],
    queues: Sequence[QueueView],
    options: CeleryMetricsOptions,
) -> Iterator[Metric]:
    """Yield the metrics of tasks, workers and queues. Pure."""
    named = merge_task_counters(_name_unknown(one, options) for one in counters)
    ordered = sorted(named, key=lambda one: msgspec.structs.astuple(one.labels))
    yield from _make_task_counters(ordered)
    yield _make_histogram(
        "celery_task_runtime",
        "Seconds that tasks ran until they succeeded",
        [(one, one.runtimes, one.runtime_s) for one in ordered if one.runtimes],
        options.runtime_buckets,
    )
    yield _make_histogram(
        "celery_task_queue_wait_time",
        "Seconds that tasks waited in their queue, without the time until their ETA",
        [(one, one.waits, one.wait_s) for one in ordered if one.waits],
        options.wait_buckets,
    )
    yield from _make_worker_gauges(workers)
    yield from _make_queue_gauges(queues, workers)
    folded = sum(sum(one.events.values()) for one in ordered if one.is_other)
    help_ = "Events that count as (other): there are HERALD_METRICS_SERIES combinations"
    yield make_counter("metrics_folded_events", help_, folded)


def _name_unknown(one: TaskCounter, options: CeleryMetricsOptions) -> TaskCounter:
    """Return a series with words for labels that are not known.

    Its labels may be those of another one then: a worker's event may be stored before
    the client's, which names the queue.
    """
    labels = CounterLabels(
        one.labels.name or UNKNOWN,
        one.labels.queue or options.default_queue,
        one.labels.host or UNKNOWN,
        one.labels.exception,
    )
    return msgspec.structs.replace(one, labels=labels)


def _make_task_counters(counters: Sequence[TaskCounter]) -> Iterator[Metric]:
    for word, (name, help_) in TASK_COUNTERS.items():
        labels = (*TASK_LABELS, "exception") if word == "failed" else TASK_LABELS
        family = CounterMetricFamily(name, help_, labels=labels)
        for one in counters:
            number = one.events.get(word, 0)
            if number or _has_zero(one, word):
                values = list_labels(one.labels)
                more = [one.labels.exception] if word == "failed" else []
                family.add_metric([*values, *more], number)
        yield family


def _has_zero(counter: TaskCounter, word: str) -> bool:
    """Return True if 0 is shown: rates need a value before the first event.

    Clients are many, and only send; an exception has no other event.
    """
    is_worker = bool(counter.events.keys() - {"submitted"})
    return is_worker and word != "submitted" and not counter.labels.exception


def list_labels(labels: CounterLabels) -> list[str]:
    """Return the values of `TASK_LABELS`."""
    return [labels.name, labels.host, labels.queue]


def _make_histogram(
    name: str,
    help_: str,
    found: Iterable[tuple[TaskCounter, Mapping[float, int], float]],
    bounds: Sequence[float],
) -> Metric:
    family = HistogramMetricFamily(name, help_, labels=TASK_LABELS)
    for one, buckets, total_s in found:
        exemplar = one.exemplar if buckets is one.runtimes else None
        values = list_labels(one.labels)
        family.add_metric(values, make_buckets(buckets, bounds, exemplar), total_s)
    return family


def make_buckets(
    found: Mapping[float, int],
    bounds: Sequence[float],
    exemplar: tuple[str, float] | None = None,
) -> list[tuple[str, float] | tuple[str, float, Exemplar]]:
    """Return the counts up to each of `bounds`, and of all, with an exemplar.

    What was counted with other bounds counts in the next one above. Pure.
    """
    counts = [0] * (len(bounds) + 1)
    for bound, number in found.items():
        counts[bisect_left(bounds, bound)] += number
    buckets: list[tuple[str, float] | tuple[str, float, Exemplar]] = [
        (_format_bound(bound), number)
        for bound, number in zip(
            (*bounds, float("inf")), accumulate(counts), strict=True
        )
    ]
    if exemplar:
        place = bisect_left(bounds, exemplar[1])
        example = Exemplar({"trace_id": exemplar[0]}, exemplar[1])
        buckets[place] = (*buckets[place][:2], example)
    return buckets


def _format_bound(bound: float) -> str:
    return str(utils.floatToGoString(bound))  # type: ignore[no-untyped-call]


def _make_worker_gauges(workers: Sequence[WorkerView]) -> Iterator[Metric]:
    """Yield the gauges by host: workers of one host are one series."""
    up: dict[str, float] = {}
    active: dict[str, float] = {}
    for one in workers:
        host = one.hostname.partition("@")[2] or one.hostname
        is_up = one.state in LIVING_STATES
        up[host] = max(up.get(host, 0.0), float(is_up))
        running = one.active or 0 if is_up else 0
        active[host] = active.get(host, 0.0) + running
    yield _make_gauge("celery_worker_up", "1 if a worker lives", "hostname", up)
    help_ = "Tasks that workers run"
    yield _make_gauge("celery_worker_tasks_active", help_, "hostname", active)


def _make_queue_gauges(
    queues: Sequence[QueueView], workers: Sequence[WorkerView]
) -> Iterator[Metric]:
    slots = {one.id: one.slots or 0 for one in workers if one.state in LIVING_STATES}
    known = [one for one in queues if one.consumers is not None]
    takers = {one.name: [w for w in one.consumers or () if w in slots] for one in known}
    lengths = {one.name: float(one.depth) for one in queues if one.depth is not None}
    help_ = "Messages that wait in the queue"
    yield _make_gauge("celery_queue_length", help_, "queue_name", lengths)
    counts = {one.name: one.consumer_count for one in queues}
    consumers = {
        **{name: float(len(found)) for name, found in takers.items()},
        **{name: float(count) for name, count in counts.items() if count is not None},
    }
    help_ = "Consumers of the queue: as the broker counts them, else workers"
    yield _make_gauge("celery_active_consumer_count", help_, "queue_name", consumers)
    help_ = "Workers that consume the queue"
    number = {name: float(len(found)) for name, found in takers.items()}
    yield _make_gauge("celery_active_worker_count", help_, "queue_name", number)
    help_ = "Tasks that the workers of the queue can run at a time"
    processes = {n: float(sum(slots[w] for w in found)) for n, found in takers.items()}
    yield _make_gauge("celery_active_process_count", help_, "queue_name", processes)


def _make_gauge(
    name: str, help_: str, label: str, values: Mapping[str, float]
) -> Metric:
    family = GaugeMetricFamily(name, help_, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family
