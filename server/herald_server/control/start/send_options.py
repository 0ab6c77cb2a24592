"""Send options of a task: time, queue, priority, tags. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

import msgspec

from herald_core.errors import InvalidInput
from herald_core.model.events.event import to_finite
from herald_core.model.events.tags import MAX_TAG_CHARS, MAX_TAGS, TAGS_HEADER, is_tag
from herald_core.model.events.trace_context import TRACE_TAG, parse_trace_id
from herald_core.model.queries.moments import parse_instant

MAX_PRIORITY = 255
MAX_AHEAD_S = 366 * 86_400.0
"""Seconds that a task may be sent ahead of its time."""

MAX_QUEUE_CHARS = 255
MAX_KEY_CHARS = 255

TIME_KEYS = ("countdown", "eta", "expires")
OPTION_KEYS = ("priority", "countdown", "eta", "expires", "queue", "tags")


class SendOptions(msgspec.Struct, frozen=True, omit_defaults=True):
    """Send options. Times are unix seconds; None is Celery's default.

    `traceparent` is sent as a message header, where OpenTelemetry's instrumentation of
    Celery reads it. `when` are the times as requested: `countdown=60` stays the same,
    its resulting ETA does not.
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
        """Its tags, and one for its trace."""
        trace = parse_trace_id(self.traceparent)
        return (*self.tags, TRACE_TAG + trace) if trace else self.tags

    def with_trace(self, traceparent: str | None) -> SendOptions:
        """Return the options with `traceparent`, if that is valid."""
        if parse_trace_id(traceparent) is None:
            return self
        return msgspec.structs.replace(self, traceparent=traceparent)

    def for_celery(self) -> dict[str, Any]:
        """Return the keyword arguments of Celery's `apply_async`."""
        given = {
            "priority": self.priority,
            "eta": _to_datetime(self.eta),
            "expires": _to_datetime(self.expires),
            "queue": self.queue,
            "headers": self._make_headers() or None,
        }
        return {key: value for key, value in given.items() if value is not None}

    def _make_headers(self) -> dict[str, Any]:
        traced = {"traceparent": self.traceparent} if self.traceparent else {}
        # Workers with the outbox report them: a store that was emptied learns them.
        return traced | ({TAGS_HEADER: list(self.tags)} if self.tags else {})


def parse_options(given: Mapping[str, object], now: float) -> SendOptions:
    """Return the options in `given`; None values are ignored.

    Raises `InvalidInput` that names the option.
    """
    fields = {key: value for key, value in given.items() if value is not None}
    if "countdown" in fields and "eta" in fields:
        raise InvalidInput("give countdown or eta, not both", "countdown")
    eta = _parse_eta(fields, now)
    return SendOptions(
        priority=_parse_priority(fields.get("priority")),
        eta=eta,
        expires=_parse_expires(fields.get("expires"), now, eta),
        queue=_parse_text(fields, "queue", MAX_QUEUE_CHARS),
        tags=_parse_tags(fields.get("tags")),
        when=", ".join(f"{key}={fields[key]}" for key in TIME_KEYS if key in fields),
    )


def parse_key(given: object) -> str | None:
    """Return the idempotency key, or None if none is given. Raises `InvalidInput`."""
    return _parse_text({"idempotency_key": given}, "idempotency_key", MAX_KEY_CHARS)


def _parse_priority(given: object) -> int | None:
    if given is None:
        return None
    whole = isinstance(given, int) and not isinstance(given, bool)
    if not whole or not 0 <= cast("int", given) <= MAX_PRIORITY:
        raise InvalidInput(
            f"priority must be a whole number from 0 to {MAX_PRIORITY}; which end is "
            "urgent is the broker's word: 0 on Redis, the highest on RabbitMQ",
            "priority",
        )
    return cast("int", given)


def _parse_eta(fields: Mapping[str, object], now: float) -> float | None:
    if "countdown" in fields:
        wait = to_finite(fields["countdown"])
        if wait is None or not 0 <= wait <= MAX_AHEAD_S:
            raise InvalidInput(
                "countdown must be a number of seconds from 0 to "
                f"{MAX_AHEAD_S:.0f} (a year)",
                "countdown",
            )
        return now + wait
    if "eta" not in fields:
        return None
    eta = _parse_time("eta", fields["eta"])
    if not now - MAX_AHEAD_S <= eta <= now + MAX_AHEAD_S:
        raise InvalidInput("eta must be within a year from now", "eta")
    return eta


def _parse_expires(given: object, now: float, eta: float | None) -> float | None:
    if given is None:
        return None
    seconds = to_finite(given)
    at = now + seconds if seconds is not None else _parse_time("expires", given)
    if at <= now:
        raise InvalidInput(
            "expires must lie ahead: seconds from now, or a time", "expires"
        )
    if eta is not None and at <= eta:
        raise InvalidInput(
            "expires must be after the task's eta, or it never runs", "expires"
        )
    return min(at, now + 2 * MAX_AHEAD_S)


def _parse_time(key: str, given: object) -> float:
    at = parse_instant(given)
    if at is not None:
        return at
    or_seconds = " or a number of seconds" if key == "expires" else ""
    raise InvalidInput(
        f"{key} must be an RFC 3339 time with its offset, such as "
        f"2026-01-31T12:00:00Z{or_seconds}",
        key,
    )


def _parse_text(fields: Mapping[str, object], key: str, limit: int) -> str | None:
    value = fields.get(key)
    if value is None:
        return None
    text = value.strip() if isinstance(value, str) else ""
    if not 0 < len(text) <= limit or not text.isprintable():
        raise InvalidInput(
            f"{key} must be a text of 1 to {limit} printable characters", key
        )
    return text


def _parse_tags(given: object) -> tuple[str, ...]:
    if given is None:
        return ()
    listed = isinstance(given, list | tuple)
    tags = list(cast("Sequence[object]", given)) if listed else [given]
    if len(tags) > MAX_TAGS or not all(is_tag(tag) for tag in tags):
        raise InvalidInput(
            f"tags must be a list of at most {MAX_TAGS} texts of 1 to {MAX_TAG_CHARS} "
            "printable characters",
            "tags",
        )
    return tuple(sorted({cast("str", tag) for tag in tags}))


def _to_datetime(at: float | None) -> datetime | None:
    return None if at is None else datetime.fromtimestamp(at, UTC)
