"""Query the result backend for unknown tasks, and while the store is outdated."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import msgspec

from herald_core.model.events.event import Event
from herald_core.model.tasks.projection import project
from herald_core.model.tasks.task import merge
from herald_core.model.tasks.views import TaskView
from herald_monitor.celery_client.backend.result_backend import (
    BackendUnreachable,
    ResultBackend,
)
from herald_server.auth.quotas.response_slots import hold_backend_turn
from herald_server.auth.quotas.start_limits import QuotaExceeded

log = logging.getLogger(__name__)

MAX_TASKS = 500
"""Maximum number of tasks of one response that are looked up in the backend."""

TIMEOUT_S = 2.0
"""Seconds that the backend has to answer."""

OUTCOME_FIELDS = (
    *("state", "final", "source", "as_of", "finished_at", "updated_at"),
    *("result", "exception", "traceback", "runtime", "name", "worker", "args"),
    *("kwargs", "queue", "progress"),
)
"""Fields that the backend may know better than an outdated record."""


class BackendLookup:
    """Adds outcomes from the result backend to outdated tasks, and finds unknown ones.

    `is_stale` returns True while the store is outdated. Otherwise the monitor has
    already stored what the backend knows of the tasks that it knows.
    """

    def __init__(
        self, backend: ResultBackend | None, is_stale: Callable[[], bool]
    ) -> None:
        self._backend = backend
        self._is_stale = is_stale

    async def read_events(self, ids: Sequence[str]) -> list[Event]:
        """Return what the backend stores of the tasks `ids`; nothing if it fails."""
        if self._backend is None:
            return []
        try:
            # Each may take several megabytes.
            async with hold_backend_turn(TIMEOUT_S):
                return await self._backend.read_events(ids, TIMEOUT_S)
        except (BackendUnreachable, QuotaExceeded) as error:
            log.warning("%s", error)
            return []

    async def add_outcomes(self, tasks: Sequence[TaskView]) -> list[TaskView]:
        """Return `tasks`, with outcomes from the backend where the store has none."""
        unfinished = [task.id for task in tasks if not task.final]
        if not unfinished or not self._is_stale():
            return list(tasks)
        found = await self.read_events(unfinished[:MAX_TASKS])
        ends = {event.task_id: event for event in found}
        return [apply_outcome(t, ends[t.id]) if t.id in ends else t for t in tasks]


def apply_outcome(task: TaskView, event: Event) -> TaskView:
    """Return `task` with the outcome in `event`; unchanged if that is not final.

    Pure.
    """
    outcome = project(merge(None, event))
    if not outcome.final:
        return task
    known = {key: getattr(outcome, key) for key in OUTCOME_FIELDS}
    return msgspec.structs.replace(
        task, **{key: value for key, value in known.items() if value is not None}
    )
