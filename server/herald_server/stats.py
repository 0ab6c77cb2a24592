"""Counts, failure rates and runtimes of tasks by name, over a window of time."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from herald_monitor.model import shape
from herald_monitor.model.filters import Filter
from herald_monitor.model.patterns import glob
from herald_monitor.model.rollups import Rollup, summed
from herald_monitor.model.rollups import percentile as in_minutes
from herald_monitor.model.shape import TaskImage, rfc3339
from herald_monitor.store import Reader
from herald_server.durations import percentile

MOST = 5_000
"""Tasks that are looked at; beyond, the newest stand for all."""

PAGE = 500
UNNAMED = "(unnamed)"


class Scan(msgspec.Struct, frozen=True):
    """The newest tasks of a window; not `whole` if there were more than `MOST`."""

    tasks: tuple[TaskImage, ...]
    whole: bool
    since: str
    until: str


class NameStats(msgspec.Struct, frozen=True):
    """Tasks of one name. Runtimes are in seconds, of those that succeeded.

    `failure_rate` is the share of failures among those that ended as success or
    failure; None if there are none.
    """

    name: str
    count: int
    states: dict[str, int]
    failure_rate: float | None = None
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None


async def scan(reader: Reader, filter_: Filter, seconds: float) -> Scan:
    """Return the tasks that were first heard of in the last `seconds`.

    Raises `StoreError`.
    """
    now = time.time()
    found: list[TaskImage] = []
    page: str | None = None
    while len(found) < MOST:
        got = await reader.page(
            filter_,
            limit=min(PAGE, MOST - len(found)),
            page=page,
            after=now - seconds,
        )
        found += got.tasks
        page = got.next
        if page is None:
            break
    return Scan(tuple(found), page is None, rfc3339(now - seconds), rfc3339(now))


STATES = {
    "succeeded": shape.SUCCESS,
    "failed": shape.FAILURE,
    "retried": shape.RETRY,
    "revoked": shape.REVOKED,
    "rejected": shape.REJECTED,
    "lost": shape.LOST,
}
"""What is counted in the minutes, by the state that it leads to."""


def by_minutes(
    minutes: Iterable[Rollup], names: Sequence[str] | None = None
) -> list[NameStats]:
    """Return the numbers of each name as they were counted, the most frequent first.

    Of `names` only (with wildcards), if they are given. Attempts are counted rather
    than tasks, and runtimes are at most 9 % off. Pure.
    """
    total = summed(minutes)
    fits = [glob(pattern) for pattern in names or ("*",)]
    found = [
        _counted(name, counts, total.runtimes_of.get(name, {}))
        for name, counts in total.names.items()
        if any(fit(name) for fit in fits)
    ]
    return sorted(found, key=lambda one: (-one.count, one.name))


def _counted(
    name: str, counts: Mapping[str, int], runtimes: Mapping[int, int]
) -> NameStats:
    ended = counts.get("succeeded", 0) + counts.get("failed", 0)
    return NameStats(
        name,
        max(counts.get(word, 0) for word in ("submitted", "received", "started")),
        {STATES[word].lower(): n for word, n in counts.items() if word in STATES},
        round(counts.get("failed", 0) / ended, 4) if ended else None,
        *(in_minutes(runtimes, part) for part in (0.5, 0.95, 0.99)),
    )


def by_name(tasks: Iterable[TaskImage]) -> list[NameStats]:
    """Return the numbers of each name, the most frequent first."""
    named: dict[str, list[TaskImage]] = {}
    for task in tasks:
        named.setdefault(task.name or UNNAMED, []).append(task)
    found = [numbers(name, some) for name, some in named.items()]
    return sorted(found, key=lambda one: (-one.count, one.name))


def numbers(name: str, tasks: Sequence[TaskImage]) -> NameStats:
    """Return the numbers of tasks of one name."""
    states = Counter(task.state for task in tasks)
    ended = states[shape.SUCCESS] + states[shape.FAILURE]
    runtimes = sorted(
        task.runtime
        for task in tasks
        if task.state == shape.SUCCESS and task.runtime is not None
    )
    points = [percentile(runtimes, p) if runtimes else None for p in (50, 95, 99)]
    return NameStats(
        name,
        len(tasks),
        {state.lower(): n for state, n in sorted(states.items())},
        round(states[shape.FAILURE] / ended, 4) if ended else None,
        *points,
    )
