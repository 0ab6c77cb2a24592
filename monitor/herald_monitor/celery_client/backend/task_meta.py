"""The stored meta of a task as one event. Pure.

A meta is the dict that `celery/backends/base.py` stores. Only final states carry the
time of storing (`date_done`); the others are true at the latest on arrival.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import cast

from herald_core.errors import InvalidEvent
from herald_core.model.events.delayed_delivery import strip_delay
from herald_core.model.events.event import (
    MAX_ID,
    MAX_NAME,
    MAX_SMALL,
    MAX_TEXT,
    Event,
    Progress,
    clamp_time,
    is_id,
    read_progress,
    shorten,
    shorten_traceback,
    to_bounded_int,
)
from herald_core.model.tasks.states import STATES_BY_KIND
from herald_core.model.tasks.views import LOST, PENDING, RECEIVED, RETRY, TaskView

Redact = Callable[[str], str]

KINDS = {
    "SUCCESS": "succeeded",
    "FAILURE": "failed",
    "REVOKED": "revoked",
    "RETRY": "retried",
    "STARTED": "started",
}
OUTCOMES = frozenset(["succeeded", "failed", "revoked"])

SILENT_STATES = frozenset(["PENDING", "RECEIVED"])
"""States without information: that of a missing result, and one of events."""

PROGRESS_STATE = "PROGRESS"
"""The state under which progress is stored by custom, also by Herald's own."""

EXCEPTION_WRAPPER = "UnpickleableExceptionWrapper"
"""Celery's encoding of an exception that cannot be pickled: its module, its name, its
arguments and its text (celery/utils/serialization.py)."""

MESSAGE_KEYS = ("message", "description", "status")
"""Keys in which projects describe their progress as text."""


class OversizedValue:
    """A value that was too large to be looked into. `size` is in bytes."""

    __slots__ = ("size",)

    def __init__(self, size: int) -> None:
        self.size = size

    def __repr__(self) -> str:
        return f"(truncated, {self.size} bytes)"


def read_meta(
    meta: object, task_id: object, heard: float, redact: Redact = str
) -> Event | None:
    """Return the event of `meta` for the task `task_id`, or None if it holds none.

    `heard` (unix seconds) is the time of arrival; the time of a worker's clock that is
    ahead is reduced to it. `redact` is applied to every free text. Raises
    `InvalidEvent` and nothing else.
    """
    try:
        return _read_state(meta, task_id, heard, redact)
    except InvalidEvent:
        raise
    except Exception as error:  # the code of a pickled result may raise any error
        raise InvalidEvent(
            f"A result of the backend cannot be read ({type(error).__name__});"
            " it is left out."
        ) from error


def _read_state(
    meta: object, task_id: object, heard: float, redact: Redact
) -> Event | None:
    if not isinstance(meta, dict):
        raise InvalidEvent(f"A result must be an object, not a {type(meta).__name__}.")
    told = cast(Mapping[str, object], meta)
    status = told.get("status")
    if not isinstance(status, str) or not 0 < len(status) <= MAX_NAME:
        raise InvalidEvent("A result must have a status, and this has none.")
    if not is_id(task_id):
        raise InvalidEvent("A result must belong to a task, and this has no usable id.")
    if status in SILENT_STATES:
        return None
    kind = KINDS.get(status)
    if kind is None:
        return _make_progress_event(told, status, task_id, heard, redact)
    return _make_event(told, kind, task_id, heard, redact)


def _make_event(
    told: Mapping[str, object], kind: str, task_id: str, heard: float, redact: Redact
) -> Event:
    result = told.get("result")
    at_work = _read_started(result if kind == "started" else None)
    failed = kind in ("failed", "revoked", "retried")
    stamp = _parse_stamp(told.get("date_done"))
    at = clamp_time(stamp, heard)
    return Event(
        kind=kind,
        task_id=task_id,
        at=at,
        # The time is a worker's: the order relative to other workers is ours.
        arrived_at=heard,
        worker_time=None if stamp is None or stamp == at else stamp,
        source="backend",
        host=_to_name(at_work.get("hostname") or told.get("worker"), MAX_NAME) or "",
        pid=to_bounded_int(at_work.get("pid"), MAX_SMALL) or 0,
        result=_to_repr(result, redact) if kind == "succeeded" else None,
        exception=format_exception(result, redact) if failed else None,
        traceback=_to_traceback(told.get("traceback"), redact),
        **_read_attributes(told, task_id, redact),  # type: ignore[arg-type]
    )


def _make_progress_event(
    told: Mapping[str, object], state: str, task_id: str, heard: float, redact: Redact
) -> Event:
    return Event(
        kind="progress",
        task_id=task_id,
        at=heard,
        source="backend",
        host=_to_name(told.get("worker"), MAX_NAME) or "",
        progress=_read_progress(told.get("result"), state, redact),
        custom_state=None if state == PROGRESS_STATE else shorten(state, MAX_NAME),
        **_read_attributes(told, task_id, redact),  # type: ignore[arg-type]
    )


def _read_progress(told: object, state: str, redact: Redact) -> Progress:
    """Return the argument of `update_state`: a dict, a text, or the state alone."""
    meta = cast(Mapping[str, object], told if isinstance(told, dict) else {})
    words = next(
        (w for k in MESSAGE_KEYS if isinstance(w := meta.get(k), str) and w), None
    )
    if isinstance(told, str) and told:
        words = told
    if words is None and (state != PROGRESS_STATE or not meta):
        words = state
    percent = meta.get("percent", meta.get("progress"))
    return read_progress({**meta, "percent": percent, "message": words}, redact)


def _read_started(result: object) -> Mapping[str, object]:
    """Return the worker that STARTED names (celery/app/trace.py)."""
    return cast(Mapping[str, object], result if isinstance(result, dict) else {})


def _read_attributes(
    told: Mapping[str, object], task_id: str, redact: Redact
) -> dict[str, object]:
    args, parent = told.get("args"), _to_name(told.get("parent_id"), MAX_ID)
    queue = _to_name(told.get("queue"), MAX_NAME)
    return {
        # Django's backend has a name of its own for it.
        "name": _to_name(told.get("name") or told.get("task_name"), MAX_NAME),
        # The event format, although JSON has made a list of them.
        "args": _to_repr(tuple(cast(list[object], args)), redact)
        if isinstance(args, list)
        else _to_repr_or_none(args, redact),
        "kwargs": _to_repr_or_none(told.get("kwargs"), redact),
        # Celery stores the routing key there (celery/backends/base.py).
        "queue": strip_delay(queue) if queue else None,
        "group_id": _to_name(told.get("group_id"), MAX_ID),
        "parent_id": None if parent == task_id else parent,
        "retries": to_bounded_int(told.get("retries"), MAX_SMALL),
    }


def format_exception(told: object, redact: Redact = str) -> str | None:
    """Return an exception as backends encode it, as `Type('message')`."""
    if told is None:
        return None
    kind, said = _parse_exception(told)
    if not isinstance(kind, str):
        return _to_repr(told, redact)
    args = cast(list[object], said) if isinstance(said, list | tuple) else [said]
    if kind == EXCEPTION_WRAPPER and len(args) == 4 and isinstance(args[3], str):
        return redact(shorten(args[3], MAX_TEXT))
    inside = ", ".join(_repr(arg) for arg in args if said is not None)
    return redact(shorten(f"{kind}({inside})", MAX_TEXT))


def _parse_exception(told: object) -> tuple[object, object]:
    """Return the name and the arguments of a stored exception."""
    if isinstance(told, BaseException):
        # Backends that return one task at a time build the exception themselves.
        return type(told).__name__, told.args
    if isinstance(told, dict):
        stored = cast(Mapping[str, object], told)
        return stored.get("exc_type"), stored.get("exc_message")
    return None, None


def _to_repr(value: object, redact: Redact) -> str:
    return redact(shorten(_repr(value), MAX_TEXT))


def _to_repr_or_none(value: object, redact: Redact) -> str | None:
    if isinstance(value, str):
        return _to_text(value, MAX_TEXT, redact)
    return None if value is None else _to_repr(value, redact)


def _repr(value: object) -> str:
    try:
        return repr(value)
    except Exception:  # nested hundreds deep, huge ints, pickled objects
        return f"({type(value).__name__} that cannot be shown)"


def _to_text(value: object, most: int, redact: Redact) -> str | None:
    if isinstance(value, OversizedValue):
        return repr(value)
    return redact(shorten(value, most)) if isinstance(value, str) and value else None


def _to_traceback(value: object, redact: Redact) -> str | None:
    if isinstance(value, OversizedValue):
        return repr(value)
    return (
        redact(shorten_traceback(value)) if isinstance(value, str) and value else None
    )


def _to_name(value: object, most: int) -> str | None:
    return shorten(value, most) if isinstance(value, str) and value else None


def _parse_stamp(value: object) -> float | None:
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


def adds_information(event: Event, shown: TaskView | None) -> bool:
    """Return True if `event`, read from the backend, adds to the view `shown`.

    For repeated queries: an unfinished state has no time in the backend. So a RETRY or
    a progress that is read now may be an old one.
    """
    if shown is None:
        return True
    if event.kind in OUTCOMES:
        return STATES_BY_KIND[event.kind] != shown.state
    if shown.final:
        return False
    if event.kind == "retried":
        return shown.state != RETRY and (event.retries or 0) >= (shown.retries or 0)
    if event.kind == "started":
        return shown.state in (PENDING, RECEIVED, LOST)
    if event.custom_state not in (None, shown.custom_state):
        return True
    return _is_later_progress(event.progress, shown.progress)


def _is_later_progress(told: Progress | None, shown: Progress | None) -> bool:
    if told is None or shown is None:
        return told is not None
    return (told.percent or 0.0) > (shown.percent or 0.0)
