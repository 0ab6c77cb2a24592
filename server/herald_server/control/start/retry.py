"""Build the request that retries a task. Pure except for the new id."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

import msgspec

from herald_core.errors import InvalidInput
from herald_core.model.events.trace_context import TRACE_TAG as TRACE_ID
from herald_core.model.tasks import views
from herald_core.model.tasks.views import TaskView
from herald_server.control.start.decision import RETRY, StartRequest
from herald_server.control.start.send_options import SendOptions
from herald_server.control.start.stored_arguments import recover_arguments

RETRY_OF = "retry_of:"
"""Prefix of the tag that names the retried task."""


def make_retry_request(
    task: TaskView, kwargs: Mapping[str, object] | None, options: SendOptions
) -> StartRequest:
    """Return the start request that retries `task`. Raises `InvalidInput`."""
    name = get_retriable_name(task)
    args, own, unknown = _choose_arguments(task, kwargs)
    # Its own are the retried id, and its trace.
    left = (RETRY_OF, TRACE_ID)
    before = tuple(t for t in task.tags or () if not t.startswith(left))
    again = msgspec.structs.replace(
        options,
        priority=task.priority if options.priority is None else options.priority,
        tags=(*before, *options.tags, RETRY_OF + task.id),
    )
    return StartRequest(
        task_type=name,
        params=own,
        args=args,
        options=again,
        way=RETRY,
        task_id=str(uuid.uuid4()),
        root_id=task.root_id or task.id,
        parent_id=task.id,
        former_queue=task.queue,
        unknown=unknown,
    )


def _choose_arguments(
    task: TaskView, kwargs: Mapping[str, object] | None
) -> tuple[tuple[object, ...], Mapping[str, object], InvalidInput | None]:
    """Return the arguments to send, or why those of `task` are not known."""
    if kwargs is not None:
        return (), kwargs, None
    try:
        return *recover_arguments(task), None
    except InvalidInput as error:
        return (), {}, error


def get_retriable_name(task: TaskView) -> str:
    """Return the name of a task that can be retried. Raises `InvalidInput`."""
    if task.state in (views.UNKNOWN, views.EXPIRED):
        raise InvalidInput(
            f"nothing is known (any more) of task {task.id!r}; start it again",
            "task_id",
        )
    if not task.final and task.state != views.LOST:
        raise InvalidInput(
            f"this task is still {task.state.lower()}: wait for its end, or cancel it "
            "first",
            "task_id",
        )
    if task.name is None:
        raise InvalidInput(
            "no event contained the name of this task; start it again", "task_id"
        )
    return task.name
