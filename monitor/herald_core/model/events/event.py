"""A Celery event in the model: its task, kind, source and time.

`parse_event` takes the received dict (celery/events/event.py, fields in
celery/worker/request.py and celery/app/amqp.py) and trusts no field of it. It drops
invalid fields, and raises `InvalidEvent` for an event without a task. Events of kinds
that do not concern a task's state return `None`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeAlias, TypeGuard

import msgspec

from herald_core.errors import InvalidEvent
from herald_core.model.events.delayed_delivery import is_delayed, strip_delay
from herald_core.model.events.exceptions import is_named, name_exception
from herald_core.model.events.tags import read_stamps, read_tags
from herald_core.model.events.trace_context import parse_traceparent

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
"""The state of a success without result and runtime. Celery reports one of a killed
greenlet (celery/concurrency/gevent.py: `_make_killable_target`). The next event decides
between revoked and retried. A task that succeeded has both fields.
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

_FRAME_START = '\n  File "'

MAX_UNIX_S = 253_402_300_799.0
"""The last second of the year 9999, in unix seconds."""


class Progress(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """How far a task says it is. `percent` lies in 0–100."""

    percent: float | None = None
    current: float | None = None
    total: float | None = None
    message: str | None = None


class Event(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One event of one task. Times are unix seconds.

    `source` names the origin: `event` (a worker or client), `backend`, `inspect`,
    `submitted` (Herald itself), `inferred`.
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
    group_index: int | None = None
    """The position of the task in its group, from 0."""
    chord_id: str | None = None
    """The task that runs after the group, with its results."""
    queue: str | None = None
    routing_key: str | None = None
    priority: int | None = None
    tags: tuple[str, ...] | None = None
    stamps: str | None = None
    """As `read_stamps` returns them."""
    trace_id: str | None = None
    parent_span_id: str | None = None
    """The span that sent the task, in the trace `trace_id`."""
    eta: float | None = None
    expires: float | None = None
    result: str | None = None
    exception: str | None = None
    traceback: str | None = None
    runtime: float | None = None
    flag: bool = False
    """`requeue` of rejected, `terminated` of revoked."""
    progress: Progress | None = None
    arrived_at: float | None = None
    """The time of arrival; None: the time of the event."""
    worker_time: float | None = None
    """The teller's own time, where `at` had to be another."""
    custom_state: str | None = None
    """The state that the task gave itself, as the backend stores it."""
    index_terms: tuple[str, ...] | None = None
    """Tags of declared arguments, see `queries.argument_index`."""


def parse_event(
    raw: RawEvent, heard: float, redact: Callable[[str], str] = str
) -> Event | None:
    """Return the event of `raw`, or None if Herald does not use its kind.

    `heard` is the time of arrival (unix seconds). No event arrives before it happens,
    so the timestamp of a clock that is ahead is reduced to it. `redact` is applied to
    every free text (not to names). Raises `InvalidEvent`.
    """
    kind = get_kind(raw)
    if kind is None:
        return None
    task_id = raw.get("uuid")
    if not is_id(task_id):
        raise InvalidEvent(f"{raw.get('type')} without a usable uuid")
    stamp = to_finite(raw.get("timestamp"))
    at = clamp_time(stamp, heard)
    told: dict[str, Any] = {}
    # The loop is over the fields present, not all fields: a third of the time.
    for key, value in raw.items():
        if value is None:
            continue
        if (most := _TEXT_LIMITS.get(key)) is not None:
            if type(value) is str and value.isascii() and 0 < len(value) <= most:
                told[key] = value
            elif (text := _to_text(value, most)) is not None:
                told[key] = text
        elif (read := _READERS.get(key)) is not None:
            name, reader = read
            if (found := reader(value, redact)) is not None:
                told[name] = found
    if "parent_id" in told and raw["parent_id"] == task_id:
        # Retries and Task.replace() name the task as its own parent.
        del told["parent_id"]
    if ids := parse_traceparent(raw.get("traceparent")):
        told["trace_id"], told["parent_span_id"] = ids
    if kind == "progress":
        told["progress"] = read_progress(raw, redact)
    said = raw.get("exception")
    if isinstance(said, str) and said and not is_named(said):
        named = name_exception(said, raw.get("traceback"))
        told["exception"] = redact(shorten(named, MAX_TEXT))
    if "hostname" in told:
        told["host"] = told.pop("hostname")
    if "routing_key" in told and is_delayed(told["routing_key"]):
        told["routing_key"] = real = strip_delay(told["routing_key"])
        # Celery omits the queue; it binds one by its name by default.
        told.setdefault("queue", real)
    if kind == "succeeded" and "runtime" not in told and "result" not in told:
        kind = STOPPED
    told["worker_time"] = None if at == stamp else stamp or 0.0
    return Event(kind=kind, task_id=task_id, at=at, arrived_at=heard, **told)


def get_kind(raw: RawEvent) -> str | None:
    """Return the kind of the event `raw`, one of the values of `KINDS`."""
    told = raw.get("type")
    return KINDS.get(told) if isinstance(told, str) else None


def is_id(value: object) -> TypeGuard[str]:
    """Return True if `value` can be a task id: a text that UTF-8 can encode."""
    if not isinstance(value, str) or not 0 < len(value) <= MAX_ID:
        return False
    return value.isascii() or value.encode("utf-8", "replace").decode() == value


def clamp_time(stamp: object, heard: float) -> float:
    """Return the time of an event that arrived at `heard`.

    Celery's `timestamp` is `time.time()`, so the `utcoffset` beside it does not apply
    and is ignored.
    """
    at = to_finite(stamp)
    return heard if at is None or at <= 0 else min(at, heard)


def to_finite(value: object) -> float | None:
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
    current, total = to_finite(raw.get("current")), to_finite(raw.get("total"))
    percent = to_finite(raw.get("percent"))
    if percent is None and current is not None and total is not None and total > 0:
        percent = 100.0 * current / total
    if percent is not None:
        percent = round(min(max(percent, 0.0), 100.0), 2)
    text = _to_text(raw.get("message"), MAX_NAME)
    message = None if text is None else redact(text)
    return Progress(percent=percent, current=current, total=total, message=message)


def _to_text(value: object, most: int) -> str | None:
    """Return a free text no longer than need be, or None if there is none."""
    if type(value) is str and value.isascii() and 0 < len(value) <= most:
        return value
    if value is None or value == "":
        return None
    return shorten(value if isinstance(value, str) else safe_repr(value), most)


def safe_repr(value: object) -> str:
    """Return the `repr` of `value`, or its type if there is none."""
    try:
        return repr(value)
    except (RecursionError, ValueError):
        # Nested hundreds deep, or an int of thousands of digits.
        return f"({type(value).__name__} that cannot be shown)"


def shorten(text: str, most: int) -> str:
    """Return `text` in at most `most` characters, with a mark if it was truncated."""
    if len(text) > most:
        tail = f"… ({len(text)} characters)"
        text = text[: most - len(tail)] + tail
    # A lone surrogate cannot be stored as UTF-8.
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def shorten_traceback(text: str) -> str:
    """Return a traceback in at most `MAX_TRACEBACK` characters.

    Its middle is left out: the end holds the innermost frames and the exception. The
    end begins at a frame, so that no secret is cut in two before it is redacted.
    """
    end = text.find(_FRAME_START, len(text) - MAX_TRACEBACK // 2)
    if len(text) <= MAX_TRACEBACK or end < 0:
        return shorten(text, MAX_TRACEBACK)
    mark = f"\n  … ({len(text)} characters) …"
    head = text[: MAX_TRACEBACK // 2 - len(mark)].rpartition("\n")[0]
    return shorten(head + mark + text[end:], MAX_TRACEBACK)


def to_bounded_int(value: object, most: int) -> int | None:
    """Return `value` as an int in 0 to `most`, or None."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= most else None


def _parse_iso(value: object) -> float | None:
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
    return min(max(at.timestamp(), 0.0), MAX_UNIX_S)


_Redact: TypeAlias = Callable[[str], str]
_Reader: TypeAlias = Callable[[object, _Redact], object]


def _make_text_reader(most: int) -> _Reader:
    """Return the reader of a text in which secrets may be."""

    def read(value: object, redact: _Redact) -> str | None:
        text = _to_text(value, most)
        return None if text is None else redact(text)

    return read


def _read_traceback(value: object, redact: _Redact) -> str | None:
    if isinstance(value, str) and len(value) > MAX_TRACEBACK:
        return redact(shorten_traceback(value))
    text = _to_text(value, MAX_TRACEBACK)
    return None if text is None else redact(text)


def _make_int_reader(most: int) -> _Reader:
    return lambda value, _: to_bounded_int(value, most)


def _read_flag(value: object, _: _Redact) -> bool | None:
    return True if value is True else None


def _read_priority(value: object, _: _Redact) -> int | None:
    # 0 is kombu's default: it would be stored for every task, and tell nothing.
    return to_bounded_int(value, MAX_SMALL) or None


_TEXT_LIMITS = {
    "hostname": MAX_NAME,
    "name": MAX_NAME,
    "root_id": MAX_ID,
    "parent_id": MAX_ID,
    "group_id": MAX_ID,
    "chord_id": MAX_ID,
    "queue": MAX_NAME,
    "routing_key": MAX_NAME,
}
"""Texts without secrets, and how long they may be."""

_READERS: dict[str, tuple[str, _Reader]] = {
    "pid": ("pid", _make_int_reader(MAX_SMALL)),
    "clock": ("clock", _make_int_reader(MAX_CLOCK)),
    "retries": ("retries", _make_int_reader(MAX_SMALL)),
    "priority": ("priority", _read_priority),
    "group_index": ("group_index", _make_int_reader(MAX_SMALL)),
    "tags": ("tags", lambda value, _: read_tags(value)),
    "stamps": ("stamps", read_stamps),
    "args": ("args", _make_text_reader(MAX_TEXT)),
    "kwargs": ("kwargs", _make_text_reader(MAX_TEXT)),
    "eta": ("eta", lambda value, _: _parse_iso(value)),
    "expires": ("expires", lambda value, _: _parse_iso(value)),
    "result": ("result", _make_text_reader(MAX_TEXT)),
    "exception": ("exception", _make_text_reader(MAX_TEXT)),
    "traceback": ("traceback", _read_traceback),
    "runtime": ("runtime", lambda value, _: to_finite(value)),
    "requeue": ("flag", _read_flag),
    "terminated": ("flag", _read_flag),
}
"""The model's names of the other fields, and their decoders."""
