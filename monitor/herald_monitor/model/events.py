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
from typing import TypeGuard

import msgspec

from herald_monitor.errors import BadEvent

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

MAX_ID = 255
MAX_NAME = 512
MAX_TEXT = 8_192
MAX_TRACEBACK = 16_384
MAX_SMALL = (1 << 31) - 1
"""Above every process id and every count of retries."""
MAX_CLOCK = (1 << 63) - 1
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
    text, plain = _Texts(raw, redact), _Texts(raw, str)
    stamp = number(raw.get("timestamp"))
    at = moment(stamp, heard)
    return Event(
        kind=kind,
        task_id=task_id,
        at=at,
        heard=heard,
        said=None if at == stamp else stamp or 0.0,
        host=plain("hostname", MAX_NAME) or "",
        pid=whole(raw.get("pid"), MAX_SMALL) or 0,
        clock=whole(raw.get("clock"), MAX_CLOCK) or 0,
        retries=whole(raw.get("retries"), MAX_SMALL),
        name=plain("name", MAX_NAME),
        args=text("args", MAX_TEXT),
        kwargs=text("kwargs", MAX_TEXT),
        root_id=plain("root_id", MAX_ID),
        # Retries and Task.replace() name the task as its own parent.
        parent_id=None
        if raw.get("parent_id") == task_id
        else plain("parent_id", MAX_ID),
        queue=plain("queue", MAX_NAME),
        routing_key=plain("routing_key", MAX_NAME),
        eta=_iso(raw.get("eta")),
        expires=_iso(raw.get("expires")),
        result=text("result", MAX_TEXT),
        exception=text("exception", MAX_TEXT),
        traceback=text("traceback", MAX_TRACEBACK),
        runtime=number(raw.get("runtime")),
        flag=raw.get("requeue") is True or raw.get("terminated") is True,
        progress=read_progress(raw, redact) if kind == "progress" else None,
    )


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
    """Return `value` as a finite number, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
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
    message = _Texts(raw, redact)("message", MAX_NAME)
    return Progress(percent=percent, current=current, total=total, message=message)


class _Texts:
    """The free texts of an event: redacted, and no longer than they need be."""

    def __init__(self, raw: RawEvent, redact: Callable[[str], str]) -> None:
        self._raw = raw
        self._redact = redact

    def __call__(self, key: str, most: int) -> str | None:
        value = self._raw.get(key)
        if value is None or value == "":
            return None
        text = value if isinstance(value, str) else _repr(value)
        return self._redact(shorten(text, most))


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
    if not isinstance(value, str):
        return None
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return min(max(at.timestamp(), 0.0), MAX_MOMENT)
