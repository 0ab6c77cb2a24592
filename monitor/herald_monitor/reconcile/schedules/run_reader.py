"""Read the possible runs of schedules from the store."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import NamedTuple

from herald_core.model.filters import Filter
from herald_core.model.schedules.follow import PROMPT_S, find_search_start
from herald_core.model.schedules.runs import list_open
from herald_core.model.schedules.spec import ScheduleSpec, make_tag
from herald_core.model.schedules.track import Track
from herald_core.model.tasks.views import TaskView
from herald_core.store.ports import TaskReader

PAGE_TASKS = 250
MAX_PAGES = 4
"""Tasks of one name that are read to find a run: a thousand."""

MAX_NAMES = 100
"""Names of tasks that are read in one check; the others follow in the next."""

ARRIVAL_MARGIN_S = 60.0
"""Seconds by which a task may have arrived before its own time."""

MAX_OPEN_RUNS = 2_000


class TaskSelection(NamedTuple):
    """Tasks that were read, and the names of which there were too many."""

    tasks: list[TaskView]
    crowded: frozenset[str]
    names: frozenset[str]


class RunReader:
    """Reads tasks by name, no more than are needed to decide what is due."""

    def __init__(self, reader: TaskReader) -> None:
        self._reader = reader

    async def read(
        self, followed: Sequence[tuple[ScheduleSpec, Track]], now: float
    ) -> TaskSelection:
        """Return the tasks that may be runs of what is due at `now` (unix seconds)."""
        starts = find_starts(followed, now)
        tasks: dict[str, TaskView] = {}
        crowded: set[str] = set()
        for name, since in starts.items():
            found, whole = await self._read_name(name, since)
            if not whole:
                tags = [
                    make_tag(spec.name) for spec, _ in followed if spec.task == name
                ]
                tagged = await self._read_tagged(name, tags)
                found += tagged
                whole = bool(tagged)
            tasks |= {task.id: task for task in found}
            if not whole:
                crowded.add(name)
        tasks |= await self._read_open(followed, tasks)
        return TaskSelection(
            list(tasks.values()), frozenset(crowded), frozenset(starts)
        )

    async def _read_name(self, name: str, since: float) -> tuple[list[TaskView], bool]:
        """Return the tasks of `name` since a time, and True if these are all."""
        found: list[TaskView] = []
        page: str | None = None
        for _ in range(MAX_PAGES):
            part = await self._reader.list_tasks(
                Filter(name=(name,)),
                limit=PAGE_TASKS,
                page=page,
                after=max(since - ARRIVAL_MARGIN_S, 0.0),
            )
            found += part.tasks
            page = part.next
            if page is None:
                return found, True
        return found, False

    async def _read_tagged(self, name: str, tags: list[str]) -> list[TaskView]:
        """Return the newest tasks whose messages named one of the schedules."""
        filter_ = Filter(name=(name,), tag=tuple(tags))
        return list((await self._reader.list_tasks(filter_, limit=PAGE_TASKS)).tasks)

    async def read_newest(self, name: str, limit: int) -> list[TaskView]:
        """Return the newest tasks of `name`."""
        part = await self._reader.list_tasks(Filter(name=(name,)), limit=limit)
        return list(part.tasks)

    async def _read_open(
        self,
        followed: Sequence[tuple[ScheduleSpec, Track]],
        known: Container[str],
    ) -> dict[str, TaskView]:
        """Return the tasks of runs that have not ended yet."""
        runs = [one.run for _, track in followed for one in track.recent]
        ids = [id_ for id_ in list_open(runs) if id_ not in known]
        found = await self._reader.get_tasks(ids[:MAX_OPEN_RUNS]) if ids else []
        return {task.id: task for task in found if task is not None}


def find_starts(
    followed: Sequence[tuple[ScheduleSpec, Track]], now: float
) -> dict[str, float]:
    """Return since when tasks must be read, by name; the longest undecided first."""
    starts: dict[str, float] = {}
    for spec, track in followed:
        since = find_search_start(track, spec)
        if since is not None and _has_question(spec, track, now):
            starts[spec.task] = min(since, starts.get(spec.task, since))
    chosen = sorted(starts.items(), key=lambda item: item[1])
    return dict(chosen[:MAX_NAMES])


def _has_question(spec: ScheduleSpec, track: Track, now: float) -> bool:
    """Return True if a run would be news: one is due, or missed, or was never seen."""
    if track.recent and track.recent[-1].run is None:
        return True
    if track.pending is None:
        return False
    is_first = spec.interval is not None and not track.recent
    return is_first or track.pending - PROMPT_S <= now
