"""Tasks to be worried about: too long at it, lost, or with a worker that is silent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import msgspec

from herald_monitor.model import shape
from herald_monitor.model.filters import Filter
from herald_monitor.model.rollups import Rollup, percentile
from herald_monitor.model.shape import TaskImage, unix
from herald_monitor.model.workers import OFFLINE, SILENT, WorkerImage
from herald_monitor.store import Reader

LEAST = 20
"""Runs below which nobody knows what is long."""

SLACK = 1.1
"""How far beyond the 99th percentile is long: it is read from buckets."""

MOST_HELD = 2_000
MOST_LOST = 50
PAGE = 500

HELD = Filter(state=(shape.RECEIVED, shape.STARTED))
LOST = Filter(state=(shape.LOST,))


class Suspect(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A task, and what is wrong: `long`, `lost` or `silent` (its worker is).

    `spent` is for how many seconds it runs, `p99` what 99 % of its name took.
    """

    why: str
    task: TaskImage
    spent: float | None = None
    p99: float | None = None


class Held(msgspec.Struct, frozen=True):
    """The tasks that workers have, those first that have run for longest.

    Not `whole` if there are more.
    """

    tasks: tuple[TaskImage, ...]
    whole: bool

    @property
    def running(self) -> list[TaskImage]:
        """Those of them that run."""
        return [task for task in self.tasks if task.state == shape.STARTED]


async def held_tasks(reader: Reader) -> Held:
    """Return the tasks that workers have. Raises `StoreError`."""
    found: list[TaskImage] = []
    page: str | None = None
    while len(found) < MOST_HELD:
        got = await reader.page(HELD, limit=PAGE, page=page)
        found += got.tasks
        page = got.next
        if page is None:
            break
    found.sort(key=lambda task: task.started_at or task.updated_at or "")
    return Held(tuple(found), page is None)


class Suspects(msgspec.Struct, frozen=True):
    """The tasks to be worried about, the worst first: silent ones, then long and lost.

    `counts` has all of each kind, also those that are not `listed`. Not `whole` if
    workers have more tasks than were looked at: then there may be more.
    """

    listed: tuple[Suspect, ...]
    counts: dict[str, int]
    whole: bool

    @property
    def total(self) -> int:
        """How many there are; at least so many if not `whole`."""
        return sum(self.counts.values())


async def suspects(
    reader: Reader,
    held: Held,
    day: Rollup,
    workers: Iterable[WorkerImage],
    now: float,
) -> Suspects:
    """Return the suspects. `day` is the sum of a day's minutes. Raises `StoreError`."""
    lost = (await reader.page(LOST, limit=MOST_LOST)).tasks
    gone = {one.hostname for one in workers if one.state in (SILENT, OFFLINE)}
    found = judged(held.tasks, lost, usual_limits(day), gone, now)
    counts = Counter(one.why for one in found)
    if len(lost) >= MOST_LOST:
        all_lost = (await reader.counts()).get(shape.LOST, 0)
        counts["lost"] = max(counts["lost"], all_lost)
    return Suspects(tuple(found), dict(counts), held.whole)


def usual_limits(day: Rollup) -> dict[str, float]:
    """Return the 99th percentile of each name of which enough is known. Pure."""
    return {
        name: p99
        for name, buckets in day.runtimes_of.items()
        if sum(buckets.values()) >= LEAST
        and (p99 := percentile(buckets, 0.99)) is not None
    }


def judged(
    held: Iterable[TaskImage],
    lost: Iterable[TaskImage],
    limits: Mapping[str, float],
    gone: Iterable[str],
    now: float,
) -> list[Suspect]:
    """Return what is wrong with which tasks. Pure.

    `held` are tasks that workers have, `gone` the workers that say nothing.
    """
    silent, long, absent = list[Suspect](), list[Suspect](), set(gone)
    for task in held:
        begun = unix(task.started_at) if task.started_at else None
        runs = begun is not None and task.state == shape.STARTED
        spent = round(max(now - begun, 0.0), 1) if begun is not None and runs else None
        p99 = limits.get(task.name or "")
        if task.worker in absent:
            silent.append(Suspect(why="silent", task=task, spent=spent))
        elif spent is not None and p99 is not None and spent > p99 * SLACK:
            long.append(Suspect(why="long", task=task, spent=spent, p99=p99))
    # By how many times longer than usual.
    long.sort(key=lambda one: (one.spent or 0.0) / (one.p99 or 1.0), reverse=True)
    return [*silent, *long, *(Suspect(why="lost", task=task) for task in lost)]
