"""Metrics of the store: queues, workers, monitors, recent rollups."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from prometheus_client.core import Metric

from herald_core.errors import StoreError
from herald_core.model.gaps import UNREPAIRABLE, Gap
from herald_core.model.monitors import MonitorView
from herald_core.model.rollups.rollup import EVENT_WORDS, compute_percentile
from herald_core.model.tasks.views import from_rfc3339
from herald_core.model.workers.queue import QueueView
from herald_core.model.workers.worker import (
    DRAINING,
    OFFLINE,
    ONLINE,
    SILENT,
    WorkerView,
)
from herald_core.store.types import ServerMemory
from herald_server.api.context import ServerContext
from herald_server.api.observability.celery_metrics import make_celery_metrics
from herald_server.api.observability.prometheus import (
    make_counters,
    make_gauge,
    make_gauges,
)
from herald_server.auth.scoped_store import get_unscoped
from herald_server.insight.queues import (
    compute_oldest_age,
    count_consumers,
    sort_worst_first,
)
from herald_server.insight.stats.failures import RECENT_S, find_failing
from herald_server.insight.stats.rollup_cache import DayRollup
from herald_server.webhooks.metrics import make_webhook_metrics
from herald_server.webhooks.repository import WebhookRepository

MAX_MONITORS = 20
MAX_QUEUES = 100
MAX_NAMES = 50

WORKER_STATES = (ONLINE, DRAINING, SILENT, OFFLINE)
QUANTILES = (0.5, 0.95, 0.99)
GAP_WINDOW_S = 3_600.0

COUNTERS = {
    "events": "Events received",
    "task_events": "Events of tasks",
    "worker_events": "Events of workers",
    "other_events": "Events of neither tasks nor workers",
    "changes": "Changes stored",
    "batches": "Batches stored",
    "retries": "Retries of storing a batch",
    "poison": "Invalid events",
    "dropped": "Events dropped because the buffer was full",
    "workers_refused": "Events of workers beyond HERALD_MAX_WORKERS",
    "missing": "Task starts that workers counted and no monitor received",
    "reconnects": "Reconnects to the broker",
    "reconciler_repaired": "Tasks whose state was corrected",
    "reconciler_found": "Tasks found without any event",
    "reconciler_lost": "Tasks marked as lost",
    "reconciler_searched": "Stored results searched for unknown tasks",
    "outbox_entries": "Entries of the outbox read",
    "outbox_events": "Events of the outbox read",
    "outbox_claimed": "Entries taken over from a monitor that died",
    "outbox_lost": "Entries that left the outbox before they were stored",
    "outbox_dropped": "Events that processes dropped before they reached the outbox",
    "outbox_trimmed": "Stored entries that were trimmed",
}
"""Counters that a monitor sends with its heartbeat."""


async def read_store_metrics(shared: ServerContext) -> list[Metric]:
    """Return the metrics of the store, if it responds."""
    store, now = shared.store, time.time()
    try:
        tasks, gaps = await store.count_by_state(), await store.list_gaps()
        monitors, queues = await store.list_monitors(), await store.list_queues()
        workers, memory = (
            await store.list_workers(now=now),
            await get_unscoped(store).read_server_memory(),
        )
        day = await shared.rollups.read_day(RECENT_S, now)
        webhooks = await WebhookRepository(store).read_states()
        counters = await store.read_task_counters()
    except StoreError:
        return [make_gauge("store_up", "1 if the store answers, else 0", 0)]
    return [
        make_gauge("store_up", "1 if the store answers, else 0", 1),
        *_make_memory_metrics(memory),
        make_gauges("tasks", "Tasks in the store", "state", tasks),
        *_make_gap_metrics(gaps, now),
        *_make_queue_metrics(queues, now),
        *_make_worker_metrics(workers),
        *_make_rollup_metrics(day),
        *_make_monitor_metrics(sorted(monitors, key=lambda m: m.id)[:MAX_MONITORS]),
        *make_webhook_metrics(webhooks, now),
        *make_celery_metrics(counters, workers, queues, shared.celery_metrics),
    ]


def _make_memory_metrics(servers: Sequence[ServerMemory]) -> Iterator[Metric]:
    used = sum(one.used for one in servers)
    yield make_gauge("store_memory_bytes", "Memory used by the store's servers", used)
    limit = sum(one.most or 0 for one in servers)
    bounded = bool(servers) and all(one.most for one in servers)
    # A store without a memory limit never becomes full.
    help_ = "Memory limit of the store's servers (+Inf: none)"
    yield make_gauge(
        "store_memory_max_bytes", help_, limit if bounded else float("inf")
    )


def _make_gap_metrics(gaps: Iterable[Gap], now: float) -> Iterator[Metric]:
    states = [(gap.state, from_rfc3339(gap.until)) for gap in gaps]
    opened = sum(state == "open" for state, _ in states)
    yield make_gauge(
        "gaps_open", "Open gaps: periods in which events may be missing", opened
    )
    late = sum(s == "open" or until >= now - GAP_WINDOW_S for s, until in states)
    yield make_gauge("gaps_last_hour", "Gaps of the last hour, and open gaps", late)
    help_ = "Gaps of the last hour in which tasks may be missing for good"
    lasting = sum(
        s == UNREPAIRABLE and until >= now - GAP_WINDOW_S for s, until in states
    )
    yield make_gauge("gaps_unrepairable", help_, lasting)


def _make_queue_metrics(queues: Sequence[QueueView], now: float) -> Iterator[Metric]:
    def of(name: str, help_: str, value: Callable[[QueueView], float | None]) -> Metric:
        values = {q.name: v for q in shown if (v := value(q)) is not None}
        return make_gauges(f"queue_{name}", help_, "queue", values)

    shown = sort_worst_first(queues)[:MAX_QUEUES]
    yield of("depth", "Waiting messages", lambda q: q.depth)
    yield of(
        "oldest_age_seconds",
        "Age of the oldest waiting message in seconds",
        lambda q: compute_oldest_age(q, now),
    )
    yield of("consumers", "Workers that consume the queue", count_consumers)
    stranded = sum(queue.is_unconsumed for queue in queues)
    yield make_gauge(
        "queues_stranded", "Queues with messages and no consumer", stranded
    )
    doubtful = sum(queue.may_be_unconsumed for queue in queues)
    help_ = "Queues that may have no consumer: some workers do not answer"
    yield make_gauge("queues_perhaps_stranded", help_, doubtful)


def _make_worker_metrics(workers: Iterable[WorkerView]) -> Iterator[Metric]:
    counted = Counter(worker.state for worker in workers)
    states = {state: counted[state] for state in WORKER_STATES}
    yield make_gauges("workers", "Known workers, by state", "state", states)


def _make_rollup_metrics(day: DayRollup) -> Iterator[Metric]:
    late = day.recent
    words = {word: late.counts.get(word, 0) for word in EVENT_WORDS}
    help_ = "Events of tasks in the last five minutes, by kind"
    yield make_gauges("lately", help_, "word", words)
    took = {str(part): compute_percentile(late.runtimes, part) for part in QUANTILES}
    known = {part: value for part, value in took.items() if value is not None}
    help_ = "Runtimes of tasks that succeeded in the last five minutes"
    yield make_gauges("lately_runtime_seconds", help_, "quantile", known)
    failed = find_failing(day)
    shown = sorted(failed, key=lambda one: -one.failed)[:MAX_NAMES]
    counted = {one.name: float(one.failed) for one in shown}
    help_ = "Failures in the last five minutes, by task name"
    yield make_gauges("lately_failures", help_, "name", counted)
    unusual = sum(one.unusual for one in failed)
    yield make_gauge(
        "failing_unusually", "Task names with an unusual failure rate", unusual
    )


def _make_monitor_metrics(monitors: Sequence[MonitorView]) -> Iterator[Metric]:
    def of(name: str, help_: str, values: Mapping[str, float]) -> Metric:
        return make_gauges(f"monitor_{name}", help_, "monitor", values)

    yield of(
        "connected",
        "1 if the monitor receives events, else 0",
        {m.id: float(m.connected) for m in monitors},
    )
    yield of(
        "lag_seconds",
        "Seconds from receiving an event to storing it",
        {m.id: m.lag_ms / 1000 for m in monitors},
    )
    yield of(
        "waiting",
        "Events that wait to be stored",
        {m.id: m.waiting for m in monitors},
    )
    yield of(
        "writers",
        "Writer processes",
        {m.id: m.writers for m in monitors},
    )
    outboxes = {m.id: m.outbox for m in monitors if m.outbox is not None}
    yield of(
        "outbox_lag_seconds",
        "Age of the oldest entry of the outbox that is not stored",
        {i: one.lag_ms / 1000 for i, one in outboxes.items()},
    )
    yield of(
        "outbox_unread",
        "Entries of the outbox that no monitor has read",
        {i: one.unread for i, one in outboxes.items() if one.unread is not None},
    )
    yield of(
        "outbox_pending",
        "Entries of the outbox that were read and are not stored",
        {i: one.pending for i, one in outboxes.items()},
    )
    for name, help_ in COUNTERS.items():
        counted = {m.id: m.counters[name] for m in monitors if name in m.counters}
        yield make_counters(f"monitor_{name}", help_, "monitor", counted)
