"""The short way to hear: what travelled, decoded straight into the model's `Event`.

Nine events of ten are of six kinds, and every field in them is what Celery makes
it. A decoder typed with `Spoken` takes those, and raises on whatever `parse` would
have had to look at twice: then the long way is taken, over a dict. That both lead
to the same event is a test.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

import msgspec

from herald_monitor.model.delayed import is_delayed, real_routing_key
from herald_monitor.model.events import (
    KINDS,
    MAX_CLOCK,
    MAX_ID,
    MAX_NAME,
    MAX_NUMBER,
    MAX_SMALL,
    MAX_TEXT,
    MAX_TRACEBACK,
    STOPPED,
    Event,
    shorten,
)
from herald_monitor.model.exceptions import is_named, name_exception

Kind = Literal[
    "task-sent",
    "task-received",
    "task-started",
    "task-succeeded",
    "task-failed",
    "task-retried",
]
Id = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME)]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_TEXT)]
Long = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_TRACEBACK)]
Small = Annotated[int, msgspec.Meta(ge=0, le=MAX_SMALL)]
Clock = Annotated[int, msgspec.Meta(ge=0, le=MAX_CLOCK)]
Number = Annotated[float, msgspec.Meta(ge=-MAX_NUMBER, le=MAX_NUMBER)]
Positive = Annotated[float, msgspec.Meta(gt=0.0, le=MAX_NUMBER)]

WIRE = {
    "kind": "type",
    "task_id": "uuid",
    "at": "timestamp",
    "host": "hostname",
    "flag": "requeue",
}
"""What fields of `Event` are called on the wire, where that is something else."""


class Spoken(  # type: ignore[misc]
    Event,
    frozen=False,  # pyright: ignore[reportGeneralTypeIssues] - until it is settled
    kw_only=True,
    gc=False,
    omit_defaults=True,
    rename=WIRE,
):
    """An event as it was decoded, until `settle` has made it what `parse` returns.

    Fields of `Event` that do not travel may only be null: whoever sends them is
    read by `parse`, which leaves them alone.
    """

    kind: Kind
    task_id: Id
    at: Positive
    source: Literal["event"] = "event"
    host: Annotated[str, msgspec.Meta(max_length=MAX_NAME)] = ""
    pid: Small = 0
    clock: Clock = 0
    retries: Small | None = None
    name: Name | None = None
    args: Text | None = None
    kwargs: Text | None = None
    root_id: Id | None = None
    parent_id: Id | None = None
    group_id: None = None
    queue: Name | None = None
    routing_key: Name | None = None
    priority: None = None
    tags: None = None
    eta: None = None
    expires: None = None
    result: Text | None = None
    exception: Text | None = None
    traceback: Long | None = None
    runtime: Number | None = None
    flag: bool = False
    progress: None = None
    heard: None = None
    said: None = None
    custom_state: None = None
    terminated: None = None
    """Not of these kinds either."""


def settle(event: Spoken, heard: float, redact: Callable[[str], str]) -> Event:
    """Return `event`, heard at a time (unix seconds), as `parse` would: once only."""
    kind = KINDS[event.kind]
    if event.runtime is None and event.result is None and kind == "succeeded":
        kind = STOPPED
    event.kind = kind  # type: ignore[assignment]
    event.heard = heard  # type: ignore[assignment]
    if event.at > heard:
        event.said, event.at = event.at, heard  # type: ignore[assignment]
    if event.parent_id == event.task_id:
        event.parent_id = None
    if (key := event.routing_key) is not None and is_delayed(key):
        event.routing_key = real = real_routing_key(key)
        event.queue = event.queue or real
    # Most hold no secret: to note the same once more takes as long as to look.
    if (text := event.args) is not None and (told := redact(text)) is not text:
        event.args = told
    if (text := event.kwargs) is not None and (told := redact(text)) is not text:
        event.kwargs = told
    if (text := event.result) is not None and (told := redact(text)) is not text:
        event.result = told
    if (text := event.exception) is not None:
        if not is_named(text):
            text = shorten(name_exception(text, event.traceback), MAX_TEXT)
        event.exception = redact(text)
    if (text := event.traceback) is not None and (told := redact(text)) is not text:
        event.traceback = told
    return event
