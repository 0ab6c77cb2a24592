"""Counts, failure rates and runtimes by task name, over a time window."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from herald_core.model.filters import Filter
from herald_core.model.patterns import compile_glob
from herald_core.model.rollups.rollup import OTHER_PART, Rollup, merge_rollups
from herald_core.model.tasks import views
from herald_core.model.tasks.views import TaskView, to_rfc3339
from herald_core.store.ports import TaskReader
from herald_server.catalog.catalog import Catalog
from herald_server.insight.stats.durations import find_percentile
from herald_server.insight.stats.timeseries import (
    OutcomeStats,
    RuntimePercentiles,
    compute_failure_rate,
    compute_runtime,
)

MAX_TASKS = 5_000
"""Maximum number of scanned tasks; beyond it, the newest ones represent all."""

PAGE_SIZE = 500
UNNAMED_TASK = "(unnamed)"

STATES = {
    "succeeded": views.SUCCESS,
    "failed": views.FAILURE,
    "retried": views.RETRY,
    "revoked": views.REVOKED,
    "rejected": views.REJECTED,
    "lost": views.LOST,
}
"""State for each counted word of the rollups."""


class TypeStats(OutcomeStats, frozen=True, omit_defaults=True, kw_only=True):
    """Statistics of one task name. `task_type` is its type in the catalog, if any.

    `startable`: it may be started through Herald.
    """

    name: str
    task_type: str | None = None
    description: str | None = None
    startable: bool = False


class NameStats(msgspec.Struct, frozen=True):
    """Statistics of one name, counted by state.

    `failure_rate` is the share of failures among those that ended as success or
    failure; None if there are none.
    """

    name: str
    count: int
    states: dict[str, int]
    failure_rate: float | None = None
    runtime: RuntimePercentiles | None = None


class TaskScan(msgspec.Struct, frozen=True):
    """The newest tasks of a window; not `whole` if there were more than `MAX_TASKS`."""

    tasks: tuple[TaskView, ...]
    whole: bool
    since: str
    until: str


async def scan_tasks(reader: TaskReader, filter_: Filter, seconds: float) -> TaskScan:
    """Return the tasks whose first event was in the last `seconds`.

    Raises `StoreError`.
    """
    now = time.time()
    found: list[TaskView] = []
    page: str | None = None
    while len(found) < MAX_TASKS:
        got = await reader.list_tasks(
            filter_,
            limit=min(PAGE_SIZE, MAX_TASKS - len(found)),
            page=page,
            after=now - seconds,
        )
        found += got.tasks
        page = got.next
        if page is None:
            break
    return TaskScan(
        tuple(found), page is None, to_rfc3339(now - seconds), to_rfc3339(now)
    )


def collect_type_stats(
    total: Rollup, catalog: Catalog, *, listed: bool = False
) -> list[TypeStats]:
    """Return the statistics of each name in a rollup, the most frequent first.

    `listed`: those of the catalog too that did not occur, behind the others.
    """
    names = [name for name in total.names if name != OTHER_PART]
    if listed:
        names += [k.celery_name for k in catalog if k.celery_name not in total.names]
    found = [_make_type_stats(name, total, catalog) for name in names]
    return sorted(found, key=lambda one: (-count_tasks(one.counts), one.name))


def compute_rollup_stats(
    minutes: Iterable[Rollup], names: Sequence[str] | None = None
) -> list[NameStats]:
    """Return the statistics of each name from rollups, the most frequent first.

    Of `names` only (with wildcards), if they are given. Attempts are counted rather
    than tasks, and runtimes are at most 9 % off. Pure.
    """
    total = merge_rollups(minutes)
    fits = [compile_glob(pattern) for pattern in names or ("*",)]
    found = [
        _count_rollup(name, counts, total.runtimes_of.get(name, {}))
        for name, counts in total.names.items()
        if any(fit(name) for fit in fits)
    ]
    return _sort(found)


def compute_task_stats(tasks: Iterable[TaskView]) -> list[NameStats]:
    """Return the statistics of each name, the most frequent first."""
    named: dict[str, list[TaskView]] = {}
    for task in tasks:
        named.setdefault(task.name or UNNAMED_TASK, []).append(task)
    return _sort(_count_named_tasks(name, some) for name, some in named.items())


def count_tasks(counts: Mapping[str, int]) -> int:
    """Return the number of tasks, as far as known: some events may be missing."""
    return max(counts.get(word, 0) for word in ("submitted", "received", "started"))


def _make_type_stats(name: str, total: Rollup, catalog: Catalog) -> TypeStats:
    kind = catalog.find_by_celery_name(name)
    counts = total.names.get(name, {})
    return TypeStats(
        name=name,
        task_type=kind.name if kind else None,
        description=kind.description if kind else None,
        startable=bool(kind and kind.startable),
        counts=counts,
        failure_rate=compute_failure_rate(counts),
        runtime=compute_runtime(total.runtimes_of.get(name, {})),
    )


def _count_rollup(
    name: str, counts: Mapping[str, int], runtimes: Mapping[int, int]
) -> NameStats:
    return NameStats(
        name,
        count_tasks(counts),
        {STATES[word].lower(): n for word, n in counts.items() if word in STATES},
        compute_failure_rate(counts),
        compute_runtime(runtimes),
    )


def _count_named_tasks(name: str, tasks: Sequence[TaskView]) -> NameStats:
    states = Counter(task.state for task in tasks)
    ended = {"succeeded": states[views.SUCCESS], "failed": states[views.FAILURE]}
    runtimes = sorted(
        task.runtime
        for task in tasks
        if task.state == views.SUCCESS and task.runtime is not None
    )
    points = [find_percentile(runtimes, p) for p in (50, 95, 99)] if runtimes else None
    return NameStats(
        name,
        len(tasks),
        {state.lower(): n for state, n in sorted(states.items())},
        compute_failure_rate(ended),
        RuntimePercentiles(*points) if points else None,
    )


def _sort(found: Iterable[NameStats]) -> list[NameStats]:
    return sorted(found, key=lambda one: (-one.count, one.name))
