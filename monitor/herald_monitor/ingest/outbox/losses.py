"""Gaps for entries of the outbox that no monitor can store any more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import msgspec

from herald_monitor.ingest.outbox.entries import DroppedEvents
from herald_monitor.ingest.outbox.stream_info import (
    NO_ENTRY,
    GroupInfo,
    StreamInfo,
    parse_entry_id,
)

TRIM_ADVICE = "raise HERALD_OUTBOX_MAXLEN, or see why no monitor read them in time"


class OutboxLoss(msgspec.Struct, frozen=True):
    """Events that were lost between two times (unix seconds).

    `key` is the same for each monitor that notices this loss, and for each time.
    """

    since: float
    until: float
    reason: str
    key: str


OnLoss: TypeAlias = Callable[[OutboxLoss], None]


def describe_trimmed(
    stream: str, info: StreamInfo, group: GroupInfo, number: int | None
) -> OutboxLoss:
    """Return the loss of entries that left the stream before they were read."""
    first = info.first or info.last
    since = first if group.delivered == NO_ENTRY else group.delivered
    return OutboxLoss(
        since.ms / 1000,
        max(first.ms, since.ms) / 1000,
        f"{_count_entries(number)} trimmed from the outbox stream {stream} before a"
        f" monitor had read them; {TRIM_ADVICE}",
        f"outbox-{stream}-{group.delivered}",
    )


def describe_deleted_pending(stream: str, ids: Sequence[bytes]) -> OutboxLoss:
    """Return the loss of entries that were read but not stored, and are deleted."""
    found = sorted(parse_entry_id(one) for one in ids)
    return OutboxLoss(
        found[0].ms / 1000,
        found[-1].ms / 1000,
        f"{_count_entries(len(found))} deleted from the outbox stream {stream} after a"
        f" monitor had read them and before it had stored them; {TRIM_ADVICE}",
        f"outbox-{stream}-pending-{found[0]}",
    )


def describe_deleted_stream(
    stream: str, since: float, until: float, unread: int | None
) -> OutboxLoss:
    """Return the loss of what a stream held when it was deleted.

    `unread` entries waited when it was there last, at `since` (unix seconds).
    """
    least = f", at least {unread}" if unread else ""
    return OutboxLoss(
        since,
        until,
        f"an unknown number of entries{least} of the outbox stream {stream} were lost"
        " unread: it was deleted (FLUSHALL, DEL, or a Redis that lost its data)",
        f"outbox-{stream}-deleted-{round(until)}",
    )


def describe_dropped(stream: str, entry_id: bytes, said: DroppedEvents) -> OutboxLoss:
    """Return the loss of events that their process dropped before an entry."""
    until = parse_entry_id(entry_id).ms / 1000
    events = "event was" if said.number == 1 else "events were"
    return OutboxLoss(
        min(said.since or until, until),
        until,
        f"{said.number} {events} dropped by {said.writer} before the outbox took them:"
        " its Redis was away or too slow, and HERALD_OUTBOX_MAX_EVENTS waited already",
        f"outbox-{stream}-dropped-{entry_id.decode()}",
    )


def describe_failed(stream: str, entry_id: bytes, events: int) -> OutboxLoss:
    """Return the loss of an entry whose events could not be handed over."""
    at = parse_entry_id(entry_id).ms / 1000
    reason = f"{events} events of the outbox stream {stream} could not be handed over"
    return OutboxLoss(at, at, reason, f"outbox-{stream}-failed-{entry_id.decode()}")


def _count_entries(number: int | None) -> str:
    if number is None:
        return "an unknown number of entries were"
    return f"{number} entry was" if number == 1 else f"{number} entries were"
