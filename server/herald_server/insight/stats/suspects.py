"""Find tasks that need attention: running too long, lost, or with a silent worker."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import msgspec

from herald_core.model.filters import Filter
from herald_core.model.rollups.rollup import Rollup, compute_percentile
from herald_core.model.tasks import views
from herald_core.model.tasks.views import TaskView, from_rfc3339
from herald_core.model.workers.worker import OFFLINE, SILENT, WorkerView
from herald_core.store.ports import TaskReader

MIN_RUNS = 20
"""Minimum number of runs to judge a runtime as long."""

SLACK_FACTOR = 1.1
"""Factor of the 99th percentile from which a runtime is long: percentiles come from
buckets."""

MAX_HELD = 2_000
MAX_LOST = 50
PAGE_SIZE = 500

HELD_FILTER = Filter(state=(views.RECEIVED, views.STARTED))
LOST_FILTER = Filter(state=(views.LOST,))


class Suspect(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A task and its problem: `long`, `lost` or `silent` (its worker is).

    `spent` is its runtime so far in seconds, `p99` the 99th percentile of its name.
    """

    why: str
    task: TaskView
    spent: float | None = None
    p99: float | None = None


class HeldTasks(msgspec.Struct, frozen=True):
    """The tasks that workers have, the longest running first.

    Not `whole` if there are more.
    """

    tasks: tuple[TaskView, ...]
    whole: bool

    @property
    def running(self) -> list[TaskView]:
        """Those that run."""
        return [task for task in self.tasks if task.state == views.STARTED]


async def read_held_tasks(reader: TaskReader) -> HeldTasks:
    """Return the tasks that workers have. Raises `StoreError`."""
    found: list[TaskView] = []
    page: str | None = None
    while len(found) < MAX_HELD:
        got = await reader.list_tasks(HELD_FILTER, limit=PAGE_SIZE, page=page)
        found += got.tasks
        page = got.next
        if page is None:
            break
    found.sort(key=lambda task: task.started_at or task.updated_at or "")
    return HeldTasks(tuple(found), page is None)


class SuspectList(msgspec.Struct, frozen=True):
    """The tasks that need attention: first silent, then long, then lost.

    `counts` has all of each kind, also those that are not `listed`. Not `whole` if
    workers have more tasks than were read.
    """

    listed: tuple[Suspect, ...]
    counts: dict[str, int]
    whole: bool

    @property
    def total(self) -> int:
        """Their number; a lower bound if not `whole`."""
        return sum(self.counts.values())


async def find_suspects(
    reader: TaskReader,
    held: HeldTasks,
    day: Rollup,
    workers: Iterable[WorkerView],
    now: float,
) -> SuspectList:
    """Return the suspects. `day` is the sum of a day's rollups. Raises `StoreError`."""
    lost = (await reader.list_tasks(LOST_FILTER, limit=MAX_LOST)).tasks
    gone = {one.hostname for one in workers if one.state in (SILENT, OFFLINE)}
    found = judge_tasks(held.tasks, lost, compute_limits(day), gone, now)
    counts = Counter(one.why for one in found)
    if len(lost) >= MAX_LOST:
        all_lost = (await reader.count_by_state()).get(views.LOST, 0)
        counts["lost"] = max(counts["lost"], all_lost)
    return SuspectList(tuple(found), dict(counts), held.whole)


def compute_limits(day: Rollup) -> dict[str, float]:
    """Return the 99th percentile of each name with enough runs. Pure."""
    return {
        name: p99
        for name, buckets in day.runtimes_of.items()
        if sum(buckets.values()) >= MIN_RUNS
        and (p99 := compute_percentile(buckets, 0.99)) is not None
    }


def judge_tasks(
    held: Iterable[TaskView],
    lost: Iterable[TaskView],
    limits: Mapping[str, float],
    gone: Iterable[str],
    now: float,
) -> list[Suspect]:
    """Return the tasks with a problem. Pure.

    `held` are tasks that workers have, `gone` the silent workers.
    """
    silent, long, absent = list[Suspect](), list[Suspect](), set(gone)
    for task in held:
        begun = from_rfc3339(task.started_at) if task.started_at else None
        runs = begun is not None and task.state == views.STARTED
        spent = round(max(now - begun, 0.0), 1) if begun is not None and runs else None
        p99 = limits.get(task.name or "")
        if task.worker in absent:
            silent.append(Suspect(why="silent", task=task, spent=spent))
        elif spent is not None and p99 is not None and spent > p99 * SLACK_FACTOR:
            long.append(Suspect(why="long", task=task, spent=spent, p99=p99))
    # By the factor to the usual runtime.
    long.sort(key=lambda one: (one.spent or 0.0) / (one.p99 or 1.0), reverse=True)
    return [*silent, *long, *(Suspect(why="lost", task=task) for task in lost)]
