"""The fast path of `parse_event`: bytes are decoded directly into an `Event`.

Nine events of ten are of six kinds, and their fields have Celery's usual types. A
decoder typed with `DecodedEvent` accepts those and raises on all others. The caller
then takes the slow path over a dict. A test holds both paths equal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

import msgspec

from herald_core.model.events.delayed_delivery import is_delayed, strip_delay
from herald_core.model.events.event import (
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
from herald_core.model.events.exceptions import is_named, name_exception
from herald_core.model.events.tags import read_tags
from herald_core.model.events.trace_context import parse_traceparent

EventKind = Literal[
    "task-sent",
    "task-received",
    "task-started",
    "task-succeeded",
    "task-failed",
    "task-retried",
]
WireId = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID)]
WireName = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME)]
WireText = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_TEXT)]
WireTraceback = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_TRACEBACK)]
WireInt = Annotated[int, msgspec.Meta(ge=0, le=MAX_SMALL)]
WireClock = Annotated[int, msgspec.Meta(ge=0, le=MAX_CLOCK)]
WireNumber = Annotated[float, msgspec.Meta(ge=-MAX_NUMBER, le=MAX_NUMBER)]
WireTime = Annotated[float, msgspec.Meta(gt=0.0, le=MAX_NUMBER)]

WIRE_NAMES = {
    "kind": "type",
    "task_id": "uuid",
    "at": "timestamp",
    "host": "hostname",
    "flag": "requeue",
}
"""The transport names of fields of `Event`, if they differ."""


class DecodedEvent(  # type: ignore[misc]
    Event,
    frozen=False,  # pyright: ignore[reportGeneralTypeIssues] - until it is settled
    kw_only=True,
    gc=False,
    omit_defaults=True,
    rename=WIRE_NAMES,
):
    """A decoded event, before `normalize` makes it equal to the result of
    `parse_event`.

    Fields of `Event` that Celery does not send may only be null here. Events that carry
    them take the slow path, which ignores these fields.
    """

    kind: EventKind
    task_id: WireId
    at: WireTime
    source: Literal["event"] = "event"
    host: Annotated[str, msgspec.Meta(max_length=MAX_NAME)] = ""
    pid: WireInt = 0
    clock: WireClock = 0
    retries: WireInt | None = None
    name: WireName | None = None
    args: WireText | None = None
    kwargs: WireText | None = None
    root_id: WireId | None = None
    parent_id: WireId | None = None
    group_id: WireId | None = None
    group_index: WireInt | None = None
    chord_id: WireId | None = None
    queue: WireName | None = None
    routing_key: WireName | None = None
    priority: WireInt | None = None
    tags: tuple[str, ...] | None = None
    stamps: None = None
    trace_id: None = None
    parent_span_id: None = None
    eta: None = None
    expires: None = None
    result: WireText | None = None
    exception: WireText | None = None
    traceback: WireTraceback | None = None
    runtime: WireNumber | None = None
    flag: bool = False
    progress: None = None
    arrived_at: None = None
    worker_time: None = None
    custom_state: None = None
    index_terms: None = None
    terminated: None = None
    """Not of these kinds either."""
    traceparent: str | None = None


def normalize(event: DecodedEvent, heard: float, redact: Callable[[str], str]) -> Event:
    """Return `event`, received at a time (unix seconds), as `parse_event` does; call it
    once.
    """
    kind = KINDS[event.kind]
    if event.runtime is None and event.result is None and kind == "succeeded":
        kind = STOPPED
    event.kind = kind  # type: ignore[assignment]
    event.arrived_at = heard  # type: ignore[assignment]
    if event.at > heard:
        event.worker_time, event.at = event.at, heard  # type: ignore[assignment]
    if event.parent_id == event.task_id:
        event.parent_id = None
    if event.priority == 0:
        event.priority = None
    if event.tags is not None:
        event.tags = read_tags(event.tags)
    if (told := event.traceparent) and (ids := parse_traceparent(told)) is not None:
        event.trace_id, event.parent_span_id = ids  # type: ignore[assignment]
    if (key := event.routing_key) is not None and is_delayed(key):
        event.routing_key = real = strip_delay(key)
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
