"""Attempt and worker of a task by its entry in the result backend.

Celery stores both with `result_extended` (celery/backends/base.py: `_get_result_meta`).
They count where no event tells them: workers without `-E`, or events that were missed.
"""

from __future__ import annotations

from typing import Any

import msgspec

from herald_core.model.tasks import views
from herald_core.model.tasks.deliveries import OUTCOME_KINDS, Delivery, EventMark
from herald_core.model.tasks.task import Task
from herald_core.model.tasks.views import AttemptView, to_rfc3339


def find_reported_attempt(task: Task) -> int:
    """Return the latest attempt whose outcome the backend tells; 0 if it names none."""
    told = [r.retries + 1 for r in task.reports if _is_outcome(r)]
    return max(told, default=0)


def make_reported_fields(run: Delivery | None, by: EventMark | None) -> dict[str, Any]:
    """Return the fields of a view that the entry `by` tells, and no event of `run`."""
    if by is None or by.source != "backend":
        return {}
    is_later = _is_outcome(by) and _is_later(by, run)
    if run is not None and run.location is not None and not is_later:
        return {}
    fields: dict[str, Any] = {}
    if by.host or is_later:
        fields = {"worker": by.host or None, "pid": by.pid or None}
    if is_later:
        # Those of the run are of an earlier attempt.
        fields |= {"received_at": None, "started_at": None, "retries": by.retries}
    return fields


def with_reported_end(
    listed: list[AttemptView], run: Delivery | None, by: EventMark | None, state: str
) -> list[AttemptView]:
    """Return the attempts `listed` with the outcome that only the entry `by` tells.

    `run` is the public delivery, and `state` that of the task.
    """
    if by is None or not _is_outcome(by):
        return listed
    if _is_later(by, run):
        new = AttemptView(attempt=by.retries + 1, state=state, retries=by.retries)
        return [*listed, _add_end(new, by, state)]
    if run is None or run.end is not None:
        return listed
    return [
        _add_end(one, by, state) if one.attempt == run.attempt else one
        for one in listed
    ]


def _is_outcome(by: EventMark) -> bool:
    return by.source == "backend" and by.kind in OUTCOME_KINDS


def _is_later(by: EventMark, run: Delivery | None) -> bool:
    """Return True if `by` names an attempt after that of `run`."""
    return by.retries + 1 > (run.attempt if run is not None else 0)


def _add_end(one: AttemptView, by: EventMark, state: str) -> AttemptView:
    failed = state != views.SUCCESS
    return msgspec.structs.replace(
        one,
        state=state,
        worker=one.worker or by.host or None,
        pid=one.pid or by.pid or None,
        finished_at=to_rfc3339(by.at),
        exception=by.text if failed else None,
        traceback=by.traceback if failed else None,
    )
