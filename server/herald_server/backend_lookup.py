"""The result backend, asked for a task while Herald's own knowledge is outdated."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import msgspec

from herald_monitor.backends import BackendUnreachable, ResultBackend
from herald_monitor.model.events import Event
from herald_monitor.model.reading import read
from herald_monitor.model.shape import TaskImage
from herald_monitor.model.tasks import merge
from herald_server.answer_turns import backend_turn
from herald_server.permits import TooMany

log = logging.getLogger(__name__)

MAX_TASKS = 500
"""Tasks of one answer that the backend is asked for."""

TIMEOUT_S = 2.0
"""Seconds that the backend has to answer."""

OUTCOME = (
    *("state", "final", "source", "as_of", "finished_at", "updated_at"),
    *("result", "exception", "traceback", "runtime", "name", "worker", "args"),
    *("kwargs", "queue", "progress"),
)
"""Fields of which the backend may know more than an outdated record."""


class BackendLookup:
    """Completes outdated tasks with what the result backend has of them.

    `is_stale` says whether the store is outdated; while it is not, the monitor has
    told the store all that the backend knows.
    """

    def __init__(
        self, backend: ResultBackend | None, is_stale: Callable[[], bool]
    ) -> None:
        self._backend = backend
        self._is_stale = is_stale

    async def complete(self, tasks: Sequence[TaskImage]) -> list[TaskImage]:
        """Return `tasks` with their ends, where they have none and the backend has."""
        unfinished = [task.id for task in tasks if not task.final]
        if not unfinished or self._backend is None or not self._is_stale():
            return list(tasks)
        try:
            # Each may take several megabytes.
            async with backend_turn(TIMEOUT_S):
                found = await self._backend.read(unfinished[:MAX_TASKS], TIMEOUT_S)
        except (BackendUnreachable, TooMany) as error:
            log.warning("%s", error)
            return list(tasks)
        ends = {event.task_id: event for event in found}
        return [end_task(t, ends[t.id]) if t.id in ends else t for t in tasks]


def end_task(task: TaskImage, found: Event) -> TaskImage:
    """Return `task` as ended by what the backend stores; as it was if that is no end.

    Pure.
    """
    told = read(merge(None, found))
    if not told.final:
        return task
    known = {key: getattr(told, key) for key in OUTCOME}
    return msgspec.structs.replace(
        task, **{key: value for key, value in known.items() if value is not None}
    )
