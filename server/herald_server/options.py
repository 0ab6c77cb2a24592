"""How a task is to be sent: when, where to, how urgently. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

import msgspec

from herald_monitor.errors import BadInput
from herald_monitor.model.events import number
from herald_monitor.model.shape import unix
from herald_monitor.model.traces import TAG, trace_id

MAX_PRIORITY = 255
MAX_AHEAD = 366 * 86_400.0
"""Seconds that a task may be sent ahead of its time."""

MAX_TAGS = 20
MAX_TAG = 64
MAX_QUEUE = 255
MAX_KEY = 255

TIMES = ("countdown", "eta", "expires")
KEYS = ("priority", "countdown", "eta", "expires", "queue", "tags")


class Options(msgspec.Struct, frozen=True, omit_defaults=True):
    """Options of one send. Times are unix seconds; None leaves it to Celery.

    `traceparent` goes along as a header of the message, where OpenTelemetry's
    instrumentation of Celery looks for it. `when` are the times as they were asked
    for: `countdown=60` stays what it is, the ETA that it comes to does not.
    """

    priority: int | None = None
    eta: float | None = None
    expires: float | None = None
    queue: str | None = None
    tags: tuple[str, ...] = ()
    traceparent: str | None = None
    when: str = ""

    @property
    def all_tags(self) -> tuple[str, ...]:
        """Its tags, and one for the trace that it is part of."""
        trace = trace_id(self.traceparent)
        return (*self.tags, TAG + trace) if trace else self.tags

    def traced(self, traceparent: str | None) -> Options:
        """Return the same as part of a trace, if `traceparent` makes sense."""
        if trace_id(traceparent) is None:
            return self
        return msgspec.structs.replace(self, traceparent=traceparent)

    def for_celery(self) -> dict[str, Any]:
        """Return the keyword arguments of Celery's `apply_async`."""
        given = {
            "priority": self.priority,
            "eta": _moment(self.eta),
            "expires": _moment(self.expires),
            "queue": self.queue,
            "headers": {"traceparent": self.traceparent} if self.traceparent else None,
        }
        return {key: value for key, value in given.items() if value is not None}


def parse_options(given: Mapping[str, object], now: float) -> Options:
    """Return the options that `given` asks for; its Nones count as not given.

    Raises `BadInput` with a sentence that names the option.
    """
    said = {key: value for key, value in given.items() if value is not None}
    if "countdown" in said and "eta" in said:
        raise BadInput("give countdown or eta, not both", "countdown")
    eta = _eta(said, now)
    return Options(
        priority=_priority(said.get("priority")),
        eta=eta,
        expires=_expires(said.get("expires"), now, eta),
        queue=_text(said, "queue", MAX_QUEUE),
        tags=_tags(said.get("tags")),
        when=", ".join(f"{key}={said[key]}" for key in TIMES if key in said),
    )


def parse_key(given: object) -> str | None:
    """Return the idempotency key, or None if none is given. Raises `BadInput`."""
    return _text({"idempotency_key": given}, "idempotency_key", MAX_KEY)


def _priority(given: object) -> int | None:
    if given is None:
        return None
    whole = isinstance(given, int) and not isinstance(given, bool)
    if not whole or not 0 <= cast("int", given) <= MAX_PRIORITY:
        raise BadInput(
            f"priority must be a whole number from 0 to {MAX_PRIORITY}; which end is "
            "urgent is the broker's word: 0 on Redis, the highest on RabbitMQ",
            "priority",
        )
    return cast("int", given)


def _eta(said: Mapping[str, object], now: float) -> float | None:
    if "countdown" in said:
        wait = number(said["countdown"])
        if wait is None or not 0 <= wait <= MAX_AHEAD:
            raise BadInput(
                "countdown must be a number of seconds from 0 to "
                f"{MAX_AHEAD:.0f} (a year)",
                "countdown",
            )
        return now + wait
    if "eta" not in said:
        return None
    eta = _time("eta", said["eta"])
    if not now - MAX_AHEAD <= eta <= now + MAX_AHEAD:
        raise BadInput("eta must be within a year from now", "eta")
    return eta


def _expires(given: object, now: float, eta: float | None) -> float | None:
    if given is None:
        return None
    seconds = number(given)
    at = now + seconds if seconds is not None else _time("expires", given)
    if at <= now:
        raise BadInput("expires must lie ahead: seconds from now, or a time", "expires")
    if eta is not None and at <= eta:
        raise BadInput(
            "expires must be after the task's eta, or it never runs", "expires"
        )
    return min(at, now + 2 * MAX_AHEAD)


def _time(key: str, given: object) -> float:
    try:
        at = datetime.fromisoformat(cast("str", given))
        if at.tzinfo is not None:
            return unix(at.isoformat())
    except (ValueError, TypeError, OverflowError):
        pass
    or_seconds = " or a number of seconds" if key == "expires" else ""
    raise BadInput(
        f"{key} must be an RFC 3339 time with its offset, such as "
        f"2026-01-31T12:00:00Z{or_seconds}",
        key,
    )


def _text(said: Mapping[str, object], key: str, most: int) -> str | None:
    value = said.get(key)
    if value is None:
        return None
    text = value.strip() if isinstance(value, str) else ""
    if not 0 < len(text) <= most or not text.isprintable():
        raise BadInput(f"{key} must be a text of 1 to {most} printable characters", key)
    return text


def _tags(given: object) -> tuple[str, ...]:
    if given is None:
        return ()
    listed = isinstance(given, list | tuple)
    tags = list(cast("Sequence[object]", given)) if listed else [given]
    if len(tags) > MAX_TAGS or not all(_is_tag(tag) for tag in tags):
        raise BadInput(
            f"tags must be a list of at most {MAX_TAGS} texts of 1 to {MAX_TAG} "
            "printable characters",
            "tags",
        )
    return tuple(sorted({cast("str", tag) for tag in tags}))


def _is_tag(tag: object) -> bool:
    return isinstance(tag, str) and 0 < len(tag) <= MAX_TAG and tag.isprintable()


def _moment(at: float | None) -> datetime | None:
    return None if at is None else datetime.fromtimestamp(at, UTC)
