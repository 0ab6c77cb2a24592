"""What retrying a task asks for: the same task, sent once more. Pure but for its id."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

import msgspec

from herald_monitor.errors import BadInput
from herald_monitor.model import shape
from herald_monitor.model.shape import TaskImage
from herald_monitor.model.traces import TAG as TRACE_ID
from herald_server.arguments import arguments_of
from herald_server.decision import RETRY, Wish
from herald_server.options import Options

RETRY_OF = "retry_of:"
"""Begins the tag that names the task which was retried."""


def wish_again(
    task: TaskImage, kwargs: Mapping[str, object] | None, options: Options
) -> Wish:
    """Return what retrying `task` asks for. Raises `BadInput`."""
    name = retriable(task)
    args, own, unknown = _arguments(task, kwargs)
    # Of its own are what it retries, and its trace.
    left = (RETRY_OF, TRACE_ID)
    before = tuple(t for t in task.tags or () if not t.startswith(left))
    again = msgspec.structs.replace(
        options,
        priority=task.priority if options.priority is None else options.priority,
        tags=(*before, *options.tags, RETRY_OF + task.id),
    )
    return Wish(
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


def _arguments(
    task: TaskImage, kwargs: Mapping[str, object] | None
) -> tuple[tuple[object, ...], Mapping[str, object], BadInput | None]:
    """Return the arguments to send, or why those of `task` are not known."""
    if kwargs is not None:
        return (), kwargs, None
    try:
        return *arguments_of(task), None
    except BadInput as error:
        return (), {}, error


def retriable(task: TaskImage) -> str:
    """Return the name of a task that may be sent again. Raises `BadInput`."""
    if task.state in (shape.UNKNOWN, shape.EXPIRED):
        raise BadInput(
            f"nothing is known (any more) of task {task.id!r}; start it anew", "task_id"
        )
    if not task.final and task.state != shape.LOST:
        raise BadInput(
            f"this task is still {task.state.lower()}: wait for its end, or cancel it "
            "first",
            "task_id",
        )
    if task.name is None:
        raise BadInput("no event told the name of this task; start it anew", "task_id")
    return task.name
