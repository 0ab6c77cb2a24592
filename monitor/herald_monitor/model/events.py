"""A Celery event, read: who says what of which task, and when.

`parse` takes the dict that travelled (celery/events/event.py, fields in
celery/worker/request.py and celery/app/amqp.py) and trusts nothing in it: a
field that cannot be meant is dropped, an event without a task is refused with
`BadEvent`. Events of kinds that tell nothing about a task's life are `None`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeAlias, TypeGuard

import msgspec

from herald_monitor.errors import BadEvent
from herald_monitor.model.delayed import is_delayed, real_routing_key
from herald_monitor.model.exceptions import is_named, name_exception

RawEvent = Mapping[str, object]

KINDS = {
    "task-sent": "sent",
    "task-received": "received",
    "task-started": "started",
    "task-succeeded": "succeeded",
    "task-failed": "failed",
    "task-retried": "retried",
    "task-revoked": "revoked",
    "task-rejected": "rejected",
    "task-cancelled": "cancelled",
    "task-progress": "progress",
}
"""Celery's event types about tasks. `task-cancelled` is emitted since 5.6 but
not documented (celery/worker/request.py); `task-progress` is ours by custom."""

STOPPED = "stopped"
"""What a success without result and runtime is. Celery tells one of a greenlet that
was killed (celery/concurrency/gevent.py: `_make_killable_target`); whether it was
revoked or comes again, the next event tells. A task that succeeded has both fields.
"""

MAX_ID = 255
MAX_NAME = 512
MAX_TEXT = 8_192
MAX_TRACEBACK = 16_384
MAX_SMALL = (1 << 31) - 1
"""Above every process id and every count of retries."""
MAX_CLOCK = (1 << 63) - 1
MAX_NUMBER = 1e15
"""Larger numbers are taken for this one: what is reckoned with them stays finite."""

MAX_MOMENT = 253_402_300_799.0
"""The last second of the year 9999, in unix seconds."""


class Progress(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """How far a task says it is. `percent` lies in 0–100."""

    percent: float | None = None
    current: float | None = None
    total: float | None = None
    message: str | None = None


class Event(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One thing said about one task. Times are unix seconds.

    `source` tells who said it: `event` (a worker or client), `backend`,
    `inspect`, `submitted` (Herald itself), `inferred`.
    """

    kind: str
    task_id: str
    at: float
    source: str = "event"
    host: str = ""
    pid: int = 0
    clock: int = 0
    retries: int | None = None
    name: str | None = None
    args: str | None = None
    kwargs: str | None = None
    root_id: str | None = None
    parent_id: str | None = None
    group_id: str | None = None
    queue: str | None = None
    routing_key: str | None = None
    priority: int | None = None
    tags: tuple[str, ...] | None = None
    eta: float | None = None
    expires: float | None = None
    result: str | None = None
    exception: str | None = None
    traceback: str | None = None
    runtime: float | None = None
    flag: bool = False
    """`requeue` of rejected, `terminated` of revoked."""
    progress: Progress | None = None
    heard: float | None = None
    """When it arrived; None: when it happened."""
    said: float | None = None
    """The teller's own time, where `at` had to be another."""
    custom_state: str | None = None
    """The state that the task gave itself, as the backend stores it."""


def parse(
    raw: RawEvent, heard: float, redact: Callable[[str], str] = str
) -> Event | None:
    """Return what `raw` says of a task, or None if it is of no kind we follow.

    `heard` is when it arrived (unix seconds): nothing is heard before it
    happened, so a clock that runs ahead is cut back to it. `redact` is applied
    to every free text (not to names). Raises `BadEvent`.
    """
    kind = kind_of(raw)
    if kind is None:
        return None
    task_id = raw.get("uuid")
    if not is_id(task_id):
        raise BadEvent(f"{raw.get('type')} without a usable uuid")
    stamp = number(raw.get("timestamp"))
    at = moment(stamp, heard)
    told: dict[str, Any] = {}
    # By what it holds, not by what it might: a third of the time.
    for key, value in raw.items():
        if value is None:
            continue
        if (most := _PLAIN.get(key)) is not None:
            if type(value) is str and value.isascii() and 0 < len(value) <= most:
                told[key] = value
            elif (text := _text(value, most)) is not None:
                told[key] = text
        elif (read := _READERS.get(key)) is not None:
            name, reader = read
            if (found := reader(value, redact)) is not None:
                told[name] = found
    if "parent_id" in told and raw["parent_id"] == task_id:
        # Retries and Task.replace() name the task as its own parent.
        del told["parent_id"]
    if kind == "progress":
        told["progress"] = read_progress(raw, redact)
    said = raw.get("exception")
    if isinstance(said, str) and said and not is_named(said):
        named = name_exception(said, raw.get("traceback"))
        told["exception"] = redact(shorten(named, MAX_TEXT))
    if "hostname" in told:
        told["host"] = told.pop("hostname")
    if "routing_key" in told and is_delayed(told["routing_key"]):
        told["routing_key"] = real = real_routing_key(told["routing_key"])
        # Celery leaves the queue out; it binds one by its name unless told otherwise.
        told.setdefault("queue", real)
    if kind == "succeeded" and "runtime" not in told and "result" not in told:
        kind = STOPPED
    told["said"] = None if at == stamp else stamp or 0.0
    return Event(kind=kind, task_id=task_id, at=at, heard=heard, **told)


def kind_of(raw: RawEvent) -> str | None:
    """Return what `raw` tells of a task's life, one of the values of `KINDS`."""
    told = raw.get("type")
    return KINDS.get(told) if isinstance(told, str) else None


def is_id(value: object) -> TypeGuard[str]:
    """Say whether `value` can be a task's id: a text that UTF-8 can hold."""
    if not isinstance(value, str) or not 0 < len(value) <= MAX_ID:
        return False
    return value.isascii() or value.encode("utf-8", "replace").decode() == value


def moment(stamp: object, heard: float) -> float:
    """Return when something happened that was heard at `heard`.

    Celery's `timestamp` is `time.time()`, so `utcoffset` beside it says nothing
    about it and is left alone.
    """
    at = number(stamp)
    return heard if at is None or at <= 0 else min(at, heard)


def number(value: object) -> float | None:
    """Return `value` as a finite number, at most `MAX_NUMBER` either way, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        finite = float(value) if math.isfinite(value) else None
        return finite and max(min(finite, MAX_NUMBER), -MAX_NUMBER)
    except OverflowError:
        return None


def read_progress(raw: RawEvent, redact: Callable[[str], str] = str) -> Progress:
    """Return the progress in `raw`; `percent` from current and total if left out."""
    current, total = number(raw.get("current")), number(raw.get("total"))
    percent = number(raw.get("percent"))
    if percent is None and current is not None and total is not None and total > 0:
        percent = 100.0 * current / total
    if percent is not None:
        percent = round(min(max(percent, 0.0), 100.0), 2)
    text = _text(raw.get("message"), MAX_NAME)
    message = None if text is None else redact(text)
    return Progress(percent=percent, current=current, total=total, message=message)


def _text(value: object, most: int) -> str | None:
    """Return a free text no longer than need be, or None if there is none."""
    if type(value) is str and value.isascii() and 0 < len(value) <= most:
        return value
    if value is None or value == "":
        return None
    return shorten(value if isinstance(value, str) else _repr(value), most)


def _repr(value: object) -> str:
    try:
        return repr(value)
    except (RecursionError, ValueError):
        # Nested hundreds deep, or an int of thousands of digits.
        return f"({type(value).__name__} that cannot be shown)"


def shorten(text: str, most: int) -> str:
    """Return `text` in at most `most` characters, and say so if it was cut."""
    if len(text) > most:
        tail = f"… ({len(text)} characters)"
        text = text[: most - len(tail)] + tail
    # A lone surrogate cannot be stored as UTF-8.
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def whole(value: object, most: int) -> int | None:
    """Return `value` as an int in 0 to `most`, or None."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= most else None


def _iso(value: object) -> float | None:
    """Return an ISO 8601 time in unix seconds; without a timezone it is in UTC.

    So Celery's workers read it, whatever `timezone` and `enable_utc` are set to
    (celery/utils/time.py: `maybe_make_aware`).
    """
    if not isinstance(value, str):
        return None
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return min(max(at.timestamp(), 0.0), MAX_MOMENT)


_Redact: TypeAlias = Callable[[str], str]
_Read: TypeAlias = Callable[[object, _Redact], object]


def _free(most: int) -> _Read:
    """Return the reader of a text in which secrets may be."""

    def read(value: object, redact: _Redact) -> str | None:
        text = _text(value, most)
        return None if text is None else redact(text)

    return read


def _whole(most: int) -> _Read:
    return lambda value, _: whole(value, most)


def _true(value: object, _: _Redact) -> bool | None:
    return True if value is True else None


_PLAIN = {
    "hostname": MAX_NAME,
    "name": MAX_NAME,
    "root_id": MAX_ID,
    "parent_id": MAX_ID,
    "queue": MAX_NAME,
    "routing_key": MAX_NAME,
}
"""Texts without secrets, and how long they may be."""

_READERS: dict[str, tuple[str, _Read]] = {
    "pid": ("pid", _whole(MAX_SMALL)),
    "clock": ("clock", _whole(MAX_CLOCK)),
    "retries": ("retries", _whole(MAX_SMALL)),
    "args": ("args", _free(MAX_TEXT)),
    "kwargs": ("kwargs", _free(MAX_TEXT)),
    "eta": ("eta", lambda value, _: _iso(value)),
    "expires": ("expires", lambda value, _: _iso(value)),
    "result": ("result", _free(MAX_TEXT)),
    "exception": ("exception", _free(MAX_TEXT)),
    "traceback": ("traceback", _free(MAX_TRACEBACK)),
    "runtime": ("runtime", lambda value, _: number(value)),
    "requeue": ("flag", _true),
    "terminated": ("flag", _true),
}
"""What the other fields are called here, and how they are read."""
