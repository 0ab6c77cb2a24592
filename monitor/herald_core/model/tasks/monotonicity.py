"""The rule that no view of a task goes back, and the attempts that follow it. Pure.

Events of two monitors, or of a worker that was disconnected, may be stored in another
order than they happened in. The projection then tells the truth, which may lie before
the published one. It is shown at once, but as a later attempt: the number that was
published stays with the delivery that it was published for.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from herald_core.model.tasks import views
from herald_core.model.tasks.attempt_selection import (
    get_public_attempt,
)
from herald_core.model.tasks.attempts import find_deliveries
from herald_core.model.tasks.deliveries import Delivery
from herald_core.model.tasks.past_deliveries import NO_PAST, make_delivery_key
from herald_core.model.tasks.projection import project
from herald_core.model.tasks.states import select_public_delivery
from herald_core.model.tasks.task import Task
from herald_core.model.tasks.views import TaskView, from_rfc3339

_WAITING, _RECEIVED, _STARTED, _ENDED = range(4)
_STEPS = {
    views.PENDING: _WAITING,
    views.RECEIVED: _RECEIVED,
    views.STARTED: _STARTED,
}

MAX_CORRECTION_S = 2.0
"""Seconds by which another source may correct the start of one delivery."""


def is_regression(was: TaskView, now: TaskView) -> bool:
    """Return True if `now` cannot follow the published `was`.

    A lower attempt cannot, nor an earlier step of the same attempt, nor another
    delivery under its number. A final state may: an outcome of an earlier attempt
    counts although a later one was started.
    """
    if was.attempt is None or now.attempt is None:
        return False
    if was.attempt != now.attempt:
        return now.attempt < was.attempt
    if now.final or now.state == views.LOST:
        return False
    if was.final:
        return True
    step, reached = _find_step(now), _find_step(was)
    return step < reached or (reached >= _STARTED and _is_other_delivery(was, now))


def find_last_step(task: Task, image: TaskView) -> TaskView:
    """Return the view that the next one must follow, where `image` was published.

    `LOST` is a conclusion and no step. An attempt that ended before it, in `RETRY`,
    does not go on after it.
    """
    if image.state != views.LOST:
        return image
    events = tuple(report for report in task.reports if report.kind != "lost")
    before = project(msgspec.structs.replace(task, reports=events))
    return msgspec.structs.replace(before, attempt=image.attempt)


def _find_step(image: TaskView) -> int:
    """Return how far the attempt is."""
    step = _STEPS.get(image.state)
    if step is not None:
        return step
    if image.state == views.RETRY:
        # A retry that waits is in this state, and an attempt that will be retried.
        return _ENDED if image.started_at else _RECEIVED
    if image.started_at:
        return _STARTED
    return _RECEIVED if image.received_at else _WAITING


def _is_other_delivery(was: TaskView, now: TaskView) -> bool:
    """Return True if both views are of started deliveries, and not of the same."""
    if was.started_at is None or now.started_at is None:
        return False
    if {was.source, now.source} & {"inspect", "backend"}:
        # They name the child process.
        return False
    if (was.worker, was.pid) != (now.worker, now.pid):
        return True
    # A duplicate that arrived earlier makes it earlier, never later.
    return now.started_at > was.started_at and (
        from_rfc3339(now.started_at) - from_rfc3339(was.started_at) > MAX_CORRECTION_S
    )


def raise_attempt(task: Task, was: TaskView, image: TaskView) -> Task:
    """Return `task` such that its view follows `was`, which `image` does not."""
    assert was.attempt is not None, "an attempt was published"
    assert image.attempt is not None, "attempts are never forgotten"
    number = max(was.attempt, image.attempt)
    if is_regression(was, msgspec.structs.replace(image, attempt=number)):
        number += 1
    return _set_attempt(task, image, number)


def keep_attempt(task: Task, image: TaskView) -> Task:
    """Return `task` such that the public number stays with the delivery that has it."""
    assert task.past is not None, "a number was published"
    return _set_attempt(task, image, task.past.public_attempt)


def _set_attempt(task: Task, image: TaskView, number: int) -> Task:
    runs = find_deliveries(task.marks, task.past)
    past = task.past or NO_PAST
    published = past.published
    # A report may tell of an attempt that no event told of.
    run = select_public_delivery(task, runs) if runs else None
    if (
        run is not None
        and image.source == "event"
        and _is_latest_started(run, runs)
        and run.attempt < number
    ):
        published = {**published, make_delivery_key(run): number}
    if published is past.published and number == past.public_attempt:
        return task
    past = msgspec.structs.replace(past, public_attempt=number, published=published)
    return msgspec.structs.replace(task, past=past)


def _is_latest_started(run: Delivery, runs: Sequence[Delivery]) -> bool:
    """Return True if the public attempt is that of `run`, which a worker started."""
    return run.is_started and run.attempt == get_public_attempt(run, runs)
