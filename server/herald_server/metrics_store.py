"""Metrics of what is in the store: queues, workers, monitors, the last minutes."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from prometheus_client.core import Metric

from herald_monitor.errors import StoreError
from herald_monitor.model.queues import QueueImage
from herald_monitor.model.rollups import WORDS, percentile
from herald_monitor.model.shape import unix
from herald_monitor.model.workers import DRAINING, OFFLINE, ONLINE, SILENT, WorkerImage
from herald_monitor.store import Gap, Memory, MonitorImage
from herald_server.failing import LATELY, failing
from herald_server.families import counters, gauge, gauges
from herald_server.minutes import Day
from herald_server.queues import by_trouble, consumers, oldest_age
from herald_server.seen import whole
from herald_server.state import Shared
from herald_server.webhooks.measures import measures
from herald_server.webhooks.register import Register

MAX_MONITORS = 20
MAX_QUEUES = 100
MAX_NAMES = 50

WORKER_STATES = (ONLINE, DRAINING, SILENT, OFFLINE)
QUANTILES = (0.5, 0.95, 0.99)
GAPS_WITHIN = 3_600.0

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
    "workers_refused": "Events of workers beyond HERALD_MAX_WORKERS",
    "missing": "Starts of tasks that workers counted and nobody heard",
    "reconnects": "Connections to the broker after the first",
    "reconciler_repaired": "Tasks that were not as the events had told",
    "reconciler_found": "Tasks that no event had told of",
    "reconciler_lost": "Tasks that were found to be lost",
}
"""What a monitor counts, as it is told with its heartbeat."""


async def of_store(shared: Shared) -> list[Metric]:
    """Return the metrics of the store, if it answers."""
    store, now = shared.store, time.time()
    try:
        tasks, gaps = await store.counts(), await store.gaps()
        monitors, queues = await store.monitors(), await store.queues()
        workers, memory = await store.workers(now=now), await whole(store).memory()
        day = await shared.minutes.day(LATELY, now)
        webhooks = await Register(store).states()
    except StoreError:
        return [gauge("store_up", "Whether the store answers", 0)]
    return [
        gauge("store_up", "Whether the store answers", 1),
        *_memory(memory),
        gauges("tasks", "Tasks in the store", "state", tasks),
        *_gaps(gaps, now),
        *_queues(queues, now),
        *_workers(workers),
        *_lately(day),
        *_monitors(sorted(monitors, key=lambda m: m.id)[:MAX_MONITORS]),
        *measures(webhooks, now),
    ]


def _memory(servers: Sequence[Memory]) -> Iterator[Metric]:
    used = sum(one.used for one in servers)
    yield gauge("store_memory_bytes", "Memory of the store's servers", used)
    most = sum(one.most or 0 for one in servers)
    bounded = bool(servers) and all(one.most for one in servers)
    # A store without a bound is never full of its own.
    help_ = "Memory at which the store is full (+Inf: no bound)"
    yield gauge("store_memory_max_bytes", help_, most if bounded else float("inf"))


def _gaps(gaps: Iterable[Gap], now: float) -> Iterator[Metric]:
    states = [(gap.state, unix(gap.until)) for gap in gaps]
    opened = sum(state == "open" for state, _ in states)
    yield gauge("gaps_open", "Stretches in which events may be missing", opened)
    late = sum(s == "open" or until >= now - GAPS_WITHIN for s, until in states)
    yield gauge("gaps_last_hour", "Those of the last hour, and open ones", late)


def _queues(queues: Sequence[QueueImage], now: float) -> Iterator[Metric]:
    def of(
        name: str, help_: str, value: Callable[[QueueImage], float | None]
    ) -> Metric:
        told = {q.name: v for q in shown if (v := value(q)) is not None}
        return gauges(f"queue_{name}", help_, "queue", told)

    shown = by_trouble(queues)[:MAX_QUEUES]
    yield of("depth", "Messages that wait", lambda q: q.depth)
    yield of(
        "oldest_age_seconds",
        "Seconds for which the oldest message waits",
        lambda q: oldest_age(q, now),
    )
    yield of("consumers", "Workers that take from it", consumers)
    stranded = sum(queue.stranded for queue in queues)
    yield gauge("queues_stranded", "Queues whose messages nobody takes", stranded)
    doubtful = sum(queue.may_be_stranded for queue in queues)
    help_ = "Queues whose messages perhaps nobody takes: some workers do not answer"
    yield gauge("queues_perhaps_stranded", help_, doubtful)


def _workers(workers: Iterable[WorkerImage]) -> Iterator[Metric]:
    counted = Counter(worker.state for worker in workers)
    states = {state: counted[state] for state in WORKER_STATES}
    yield gauges("workers", "Workers that were heard of", "state", states)


def _lately(day: Day) -> Iterator[Metric]:
    late = day.lately
    words = {word: late.counts.get(word, 0) for word in WORDS}
    help_ = "What happened to tasks in the last five minutes"
    yield gauges("lately", help_, "word", words)
    took = {str(part): percentile(late.runtimes, part) for part in QUANTILES}
    known = {part: value for part, value in took.items() if value is not None}
    help_ = "Runtimes of tasks that succeeded in the last five minutes"
    yield gauges("lately_runtime_seconds", help_, "quantile", known)
    failed = failing(day)
    most = sorted(failed, key=lambda one: -one.failed)[:MAX_NAMES]
    counted = {one.name: float(one.failed) for one in most}
    help_ = "Failures in the last five minutes, by task name"
    yield gauges("lately_failures", help_, "name", counted)
    unusual = sum(one.unusual for one in failed)
    yield gauge("failing_unusually", "Names that fail more than usual", unusual)


def _monitors(monitors: Sequence[MonitorImage]) -> Iterator[Metric]:
    def of(name: str, help_: str, values: Mapping[str, float]) -> Metric:
        return gauges(f"monitor_{name}", help_, "monitor", values)

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
    yield of(
        "writers",
        "Processes that help it to store",
        {m.id: m.writers for m in monitors},
    )
    for name, help_ in COUNTERS.items():
        counted = {m.id: m.counters[name] for m in monitors if name in m.counters}
        yield counters(f"monitor_{name}", help_, "monitor", counted)
