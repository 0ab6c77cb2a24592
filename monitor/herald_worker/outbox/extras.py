"""What Celery's events leave out: queue, group, chord, priority, stamps, trace, tags.

Signals know it: `before_task_publish` and `task_received` come just before the event of
the same task, in the same thread. So what they tell waits, by task id, for that event;
of tasks that send none the oldest are forgotten.
"""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, cast

from herald_worker.tags import HEADER, MAX_TAG_CHARACTERS, read_header_tags

MAX_WAITING_TASKS = 1000
SCHEDULE_HEADER = "periodic_task_name"
SCHEDULE_TAG = "schedule:"
"""Prefix of the tag by which Herald knows the schedule of a task."""

RECEIVED = "task-received"
SENT = "task-sent"

Extras = dict[str, Any]


class WaitingExtras:
    """A bounded table of what is known of tasks before their event is made."""

    def __init__(self, max_tasks: int = MAX_WAITING_TASKS) -> None:
        self._max_tasks = max_tasks
        self._waiting: OrderedDict[str, Extras] = OrderedDict()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, task_id: str, extras: Extras) -> None:
        """Keep `extras` for the event of the task; forget the oldest of too many."""
        if len(self._waiting) >= self._max_tasks:
            # Another thread may have taken the last one meanwhile.
            with contextlib.suppress(KeyError):
                self._waiting.popitem(last=False)
        self._waiting[task_id] = extras

    def pop(self, task_id: str) -> Extras | None:
        """Return what is known of a task, and forget it."""
        return self._waiting.pop(task_id, None)


_received = WaitingExtras()
_sent = WaitingExtras()


def add_extras(kind: str, event: dict[str, Any]) -> dict[str, Any]:
    """Return the event with what is known besides; `event` itself stays as it is."""
    if kind == RECEIVED:
        extras = _received.pop(event["uuid"])
    elif kind == SENT:
        extras = _sent.pop(event["uuid"])
        # The headers are complete only now: others add to them as well.
        extras = extras and _read_sent(extras)
    else:
        return event
    return {**extras, **event} if extras else event


def note_received(request: Any) -> None:
    """Remember what a request says that a worker has just received."""
    headers = cast(Mapping[str, Any], request.request_dict)
    found = _read_headers(headers)
    delivery = cast(Mapping[str, Any], request.delivery_info or {})
    for name in ("exchange", "routing_key", "priority"):
        if delivery.get(name) is not None:
            found[name] = delivery[name]
    queue = _find_queue(request, delivery)
    if queue:
        found["queue"] = queue
    if headers.get("group"):
        found |= _read_chord(request.chord)
    _received.add(request.id, found)


def note_sent(headers: Any, body: Any, properties: Any) -> None:
    """Remember what the message says that is about to be sent."""
    if "id" not in headers:
        # Task protocol 1 has its fields in the body, and no headers of its own.
        return
    extras: Extras = {"headers": headers, "chord": body[2].get("chord")}
    extras["priority"] = (properties or {}).get("priority")
    _sent.add(headers["id"], extras)


def _read_sent(waiting: Extras) -> Extras:
    found = _read_headers(waiting["headers"]) | _read_chord(waiting["chord"])
    if waiting["priority"] is not None:
        found["priority"] = waiting["priority"]
    return found


def _read_headers(headers: Mapping[str, Any]) -> Extras:
    found: Extras = {}
    for header, name in _HEADERS:
        value = headers.get(header)
        if value is not None:
            found[name] = value
    if headers.get("stamps"):
        found["stamps"] = headers["stamps"]
    if HEADER in headers or SCHEDULE_HEADER in headers:
        found["tags"] = [*_name_schedule(headers), *read_header_tags(headers)]
    return found


def _name_schedule(headers: Mapping[str, Any]) -> list[str]:
    """Return the tag of the schedule that sent the task, as django-celery-beat says."""
    name = headers.get(SCHEDULE_HEADER)
    return [f"{SCHEDULE_TAG}{name}"[:MAX_TAG_CHARACTERS]] if name else []


_HEADERS = (
    ("group", "group_id"),
    ("group_index", "group_index"),
    ("traceparent", "traceparent"),
)


def _read_chord(chord: Any) -> Extras:
    """Return the id of the chord's body."""
    options = chord.get("options") if chord else None
    task_id = options.get("task_id") if options else None
    return {"chord_id": task_id} if task_id else {}


def _find_queue(request: Any, delivery: Mapping[str, Any]) -> str | None:
    """Return the queue: what is sent to no exchange has its name as routing key."""
    exchange, key = delivery.get("exchange"), delivery.get("routing_key")
    if not exchange:
        return key
    for queue in request.app.amqp.queues.consume_from.values():
        if queue.exchange.name == exchange and key in (queue.routing_key, queue.name):
            return str(queue.name)
    return None
