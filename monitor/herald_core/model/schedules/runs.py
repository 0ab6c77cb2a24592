"""Runs of a schedule: the tasks that it submitted. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from herald_core.model.schedules.spec import TAG_PREFIX, ScheduleSpec, make_tag
from herald_core.model.tasks.views import (
    FAILURE,
    IGNORED,
    LOST,
    REJECTED,
    REVOKED,
    SUCCESS,
    TaskView,
    from_rfc3339,
)

FAILED_STATES = frozenset([FAILURE, LOST, REJECTED, REVOKED])
ENDED_STATES = FAILED_STATES | {SUCCESS, IGNORED}
TRUNCATION_MARKS = ("...", "…")
"""How Celery and the store mark what they cut."""

MAX_EXCEPTION_CHARS = 200


class ScheduledRun(
    msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False
):
    """A task of a schedule. Times are unix seconds.

    `at` is when it was submitted, or (if `sent` is False) first received.
    """

    task_id: str
    at: float
    state: str
    sent: bool = False
    started_at: float | None = None
    finished_at: float | None = None
    runtime: float | None = None
    exception: str | None = None
    queue: str | None = None

    @property
    def has_ended(self) -> bool:
        """True if it does not run any more."""
        return self.state in ENDED_STATES

    @property
    def is_waiting(self) -> bool:
        """True if no worker has started it yet."""
        return self.started_at is None and not self.has_ended

    def is_running_at(self, at: float) -> bool:
        """Return True if it had started and not ended at `at` (unix seconds)."""
        if self.started_at is None or self.started_at > at:
            return False
        if self.finished_at is not None:
            return self.finished_at > at
        return not self.has_ended


def read_run(task: TaskView) -> ScheduledRun | None:
    """Return the run that `task` is; None if it is not known since when."""
    since = task.submitted_at or task.received_at or task.started_at
    since = since or task.finished_at
    if since is None:
        return None
    return ScheduledRun(
        task_id=task.id,
        at=from_rfc3339(since),
        state=task.state,
        sent=task.submitted_at is not None,
        started_at=_to_seconds(task.started_at),
        finished_at=_to_seconds(task.finished_at),
        runtime=task.runtime,
        exception=task.exception[:MAX_EXCEPTION_CHARS] if task.exception else None,
        queue=task.queue,
    )


def _to_seconds(at: str | None) -> float | None:
    return None if at is None else from_rfc3339(at)


def may_belong_to(spec: ScheduleSpec, task: TaskView) -> bool:
    """Return True if `task` may be a run of the schedule.

    A tag decides where the message named its schedule; else name and arguments do.
    """
    if task.name != spec.task:
        return False
    named = [tag for tag in task.tags or () if tag.startswith(TAG_PREFIX)]
    if named:
        return make_tag(spec.name) in named
    return _may_be_equal(spec.args, task.args) and _may_be_equal(
        spec.kwargs, task.kwargs
    )


def _may_be_equal(declared: str | None, sent: str | None) -> bool:
    """Return False if two texts of arguments certainly differ."""
    if declared is None or sent is None:
        return True
    one, other = _unwrap(declared), _unwrap(sent)
    if one == other:
        return True
    cuts = [_find_cut(text) for text in (one, other)]
    known = [cut for cut in cuts if cut >= 0]
    return bool(known) and one[: min(known)] == other[: min(known)]


def _unwrap(text: str) -> str:
    """Return the text between the brackets: a tuple or a list, whichever was sent."""
    inner = text.strip()
    if inner.startswith(("(", "[", "{")):
        inner = inner[1:]
    if inner.endswith((")", "]", "}")):
        inner = inner[:-1]
    return inner.strip().removesuffix(",")


def _find_cut(text: str) -> int:
    found = [at for mark in TRUNCATION_MARKS if (at := text.find(mark)) >= 0]
    return min(found, default=-1)


def list_open(runs: Iterable[ScheduledRun | None]) -> list[str]:
    """Return the ids of the tasks that may still change."""
    return [run.task_id for run in runs if run is not None and not run.has_ended]
