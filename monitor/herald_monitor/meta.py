"""What a result backend keeps of a task, read as one event. Pure.

A meta is the dict that `celery/backends/base.py` stores. Only final states carry
the time at which they were stored (`date_done`); the others were true when they
were heard, at the latest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import cast

from herald_monitor.errors import BadEvent
from herald_monitor.model.delayed import real_routing_key
from herald_monitor.model.events import (
    MAX_ID,
    MAX_NAME,
    MAX_SMALL,
    MAX_TEXT,
    MAX_TRACEBACK,
    Event,
    Progress,
    is_id,
    moment,
    read_progress,
    shorten,
    whole,
)
from herald_monitor.model.shape import LOST, PENDING, RECEIVED, RETRY, TaskImage
from herald_monitor.model.states import STATE_OF

Redact = Callable[[str], str]

KINDS = {
    "SUCCESS": "succeeded",
    "FAILURE": "failed",
    "REVOKED": "revoked",
    "RETRY": "retried",
    "STARTED": "started",
}
OUTCOMES = frozenset(["succeeded", "failed", "revoked"])

SILENT = frozenset(["PENDING", "RECEIVED"])
"""States that tell nothing: that of what is not stored, and one of events."""

PROGRESS = "PROGRESS"
"""The state under which progress is stored by custom, also by Herald's own."""

WRAPPER = "UnpickleableExceptionWrapper"
"""What Celery stores for an exception that cannot be pickled: its module, its name,
its arguments and its text (celery/utils/serialization.py)."""

TELLS = ("message", "description", "status")
"""Where projects write in words how far they are."""


class Unread:
    """A value that was too large to be looked into. `size` is in bytes."""

    __slots__ = ("size",)

    def __init__(self, size: int) -> None:
        self.size = size

    def __repr__(self) -> str:
        return f"(truncated, {self.size} bytes)"


def read_meta(
    meta: object, task_id: object, heard: float, redact: Redact = str
) -> Event | None:
    """Return what `meta` says of the task `task_id`, or None if that is nothing.

    `heard` (unix seconds) is when it was told; a worker's clock that runs ahead
    is cut back to it. `redact` is applied to every free text. Raises `BadEvent`
    and nothing else.
    """
    try:
        return _read(meta, task_id, heard, redact)
    except BadEvent:
        raise
    except Exception as error:  # a pickled result may do anything when looked at
        raise BadEvent(
            f"A result of the backend cannot be read ({type(error).__name__});"
            " it is left out."
        ) from error


def _read(meta: object, task_id: object, heard: float, redact: Redact) -> Event | None:
    if not isinstance(meta, dict):
        raise BadEvent(f"A result must be an object, not a {type(meta).__name__}.")
    told = cast(Mapping[str, object], meta)
    status = told.get("status")
    if not isinstance(status, str) or not 0 < len(status) <= MAX_NAME:
        raise BadEvent("A result must have a status, and this has none.")
    if not is_id(task_id):
        raise BadEvent("A result must belong to a task, and this has no usable id.")
    if status in SILENT:
        return None
    kind = KINDS.get(status)
    if kind is None:
        return _progress(told, status, task_id, heard, redact)
    return _event(told, kind, task_id, heard, redact)


def _event(
    told: Mapping[str, object], kind: str, task_id: str, heard: float, redact: Redact
) -> Event:
    result = told.get("result")
    at_work = _at_work(result if kind == "started" else None)
    failed = kind in ("failed", "revoked", "retried")
    stamp = _stamp(told.get("date_done"))
    at = moment(stamp, heard)
    return Event(
        kind=kind,
        task_id=task_id,
        at=at,
        # A worker's clock says when: the order of what it did with others' is ours.
        heard=heard,
        said=None if stamp is None or stamp == at else stamp,
        source="backend",
        host=_name(at_work.get("hostname") or told.get("worker"), MAX_NAME) or "",
        pid=whole(at_work.get("pid"), MAX_SMALL) or 0,
        result=_shown(result, redact) if kind == "succeeded" else None,
        exception=exception_text(result, redact) if failed else None,
        traceback=_text(told.get("traceback"), MAX_TRACEBACK, redact),
        **_facts(told, task_id, redact),  # type: ignore[arg-type]
    )


def _progress(
    told: Mapping[str, object], state: str, task_id: str, heard: float, redact: Redact
) -> Event:
    return Event(
        kind="progress",
        task_id=task_id,
        at=heard,
        source="backend",
        host=_name(told.get("worker"), MAX_NAME) or "",
        progress=_step(told.get("result"), state, redact),
        custom_state=None if state == PROGRESS else shorten(state, MAX_NAME),
        **_facts(told, task_id, redact),  # type: ignore[arg-type]
    )


def _step(told: object, state: str, redact: Redact) -> Progress:
    """Return what `update_state` was given: a dict, a text, or the state alone."""
    meta = cast(Mapping[str, object], told if isinstance(told, dict) else {})
    words = next((w for k in TELLS if isinstance(w := meta.get(k), str) and w), None)
    if isinstance(told, str) and told:
        words = told
    if words is None and (state != PROGRESS or not meta):
        words = state
    percent = meta.get("percent", meta.get("progress"))
    return read_progress({**meta, "percent": percent, "message": words}, redact)


def _at_work(result: object) -> Mapping[str, object]:
    """Return what STARTED says of who started it (celery/app/trace.py)."""
    return cast(Mapping[str, object], result if isinstance(result, dict) else {})


def _facts(
    told: Mapping[str, object], task_id: str, redact: Redact
) -> dict[str, object]:
    args, parent = told.get("args"), _name(told.get("parent_id"), MAX_ID)
    queue = _name(told.get("queue"), MAX_NAME)
    return {
        # Django's backend has a name of its own for it.
        "name": _name(told.get("name") or told.get("task_name"), MAX_NAME),
        # As events tell them, although JSON has made a list of them.
        "args": _shown(tuple(cast(list[object], args)), redact)
        if isinstance(args, list)
        else _shown_if_told(args, redact),
        "kwargs": _shown_if_told(told.get("kwargs"), redact),
        # Celery keeps the routing key there (celery/backends/base.py).
        "queue": real_routing_key(queue) if queue else None,
        "group_id": _name(told.get("group_id"), MAX_ID),
        "parent_id": None if parent == task_id else parent,
        "retries": whole(told.get("retries"), MAX_SMALL),
    }


def exception_text(told: object, redact: Redact = str) -> str | None:
    """Return an exception as backends encode it, as `Type('message')`."""
    if told is None:
        return None
    kind, said = _stored_exception(told)
    if not isinstance(kind, str):
        return _shown(told, redact)
    args = cast(list[object], said) if isinstance(said, list | tuple) else [said]
    if kind == WRAPPER and len(args) == 4 and isinstance(args[3], str):
        return redact(shorten(args[3], MAX_TEXT))
    inside = ", ".join(_repr(arg) for arg in args if said is not None)
    return redact(shorten(f"{kind}({inside})", MAX_TEXT))


def _stored_exception(told: object) -> tuple[object, object]:
    """Return the name and the arguments of an exception that a backend keeps."""
    if isinstance(told, BaseException):
        # Backends that are asked one by one build the exception itself.
        return type(told).__name__, told.args
    if isinstance(told, dict):
        stored = cast(Mapping[str, object], told)
        return stored.get("exc_type"), stored.get("exc_message")
    return None, None


def _shown(value: object, redact: Redact) -> str:
    return redact(shorten(_repr(value), MAX_TEXT))


def _shown_if_told(value: object, redact: Redact) -> str | None:
    if isinstance(value, str):
        return _text(value, MAX_TEXT, redact)
    return None if value is None else _shown(value, redact)


def _repr(value: object) -> str:
    try:
        return repr(value)
    except Exception:  # nested hundreds deep, huge ints, pickled objects
        return f"({type(value).__name__} that cannot be shown)"


def _text(value: object, most: int, redact: Redact) -> str | None:
    if isinstance(value, Unread):
        return repr(value)
    return redact(shorten(value, most)) if isinstance(value, str) and value else None


def _name(value: object, most: int) -> str | None:
    return shorten(value, most) if isinstance(value, str) and value else None


def _stamp(value: object) -> float | None:
    """Return when a final state was stored; a time without a zone is in UTC."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    at = value if value.tzinfo else value.replace(tzinfo=UTC)
    return at.timestamp()


def is_news(event: Event, shown: TaskImage | None) -> bool:
    """Say whether `event`, found by asking the backend, adds to what is `shown`.

    For those who ask again and again: what is not final has no time of its own in
    the backend, so a RETRY or a progress that is read now may be an old one.
    """
    if shown is None:
        return True
    if event.kind in OUTCOMES:
        return STATE_OF[event.kind] != shown.state
    if shown.final:
        return False
    if event.kind == "retried":
        return shown.state != RETRY and (event.retries or 0) >= (shown.retries or 0)
    if event.kind == "started":
        return shown.state in (PENDING, RECEIVED, LOST)
    if event.custom_state not in (None, shown.custom_state):
        return True
    return _is_further(event.progress, shown.progress)


def _is_further(told: Progress | None, shown: Progress | None) -> bool:
    if told is None or shown is None:
        return told is not None
    return (told.percent or 0.0) > (shown.percent or 0.0)
