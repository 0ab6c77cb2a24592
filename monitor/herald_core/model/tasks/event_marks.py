"""The canonical order of marks, and the choice between two equal ones. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from typing import Any

from herald_core.model.tasks.deliveries import KIND_ORDER, OUTCOME_KINDS, EventMark

MAX_ENDINGS = 8
"""Endings of one kind that a backend may have stored one after the other."""


def merge_marks(
    a: tuple[EventMark, ...],
    b: tuple[EventMark, ...],
    key: Callable[[EventMark], tuple[Any, ...]],
    order: Callable[[EventMark], tuple[Any, ...]],
) -> tuple[EventMark, ...]:
    """Return `a` and `b`, both sorted by `key`, and of each key the last by `order`."""
    for mark in b:
        own = key(mark)
        i = bisect_left(a, own, key=key)
        if i == len(a) or key(a[i]) != own:
            a = (*a[:i], mark, *a[i:])
        elif order(mark) > order(a[i]):
            a = (*a[:i], mark, *a[i + 1 :])
    return a


def has_mark(marks: tuple[EventMark, ...], key: tuple[Any, ...]) -> bool:
    """Return True if a mark of that `get_mark_key` is one of the sorted `marks`."""
    i = bisect_left(marks, key, key=get_mark_key)
    return i < len(marks) and get_mark_key(marks[i]) == key


def get_mark_key(mark: EventMark) -> tuple[Any, ...]:
    """Return the key that two equal marks share.

    The time is part of it: a restarted container has its old hostname and pid, and its
    clock starts again.
    """
    return (
        mark.host,
        mark.pid,
        mark.clock,
        KIND_ORDER[mark.kind],
        mark.source,
        mark.event_time,
    )


def get_report_key(mark: EventMark) -> tuple[Any, ...]:
    """Return the key that two equal reports share: the later one wins."""
    # The time of storing distinguishes two ends; other reports are true on arrival.
    stored = mark.event_time if _is_ending(mark) else 0.0
    return (mark.source, mark.kind, mark.host, stored)


def get_report_order(mark: EventMark) -> tuple[Any, ...]:
    """Return the order of reports of one key: the last one is stored."""
    return get_earlier_order(mark) if _is_ending(mark) else _get_later_order(mark)


def get_earlier_order(mark: EventMark) -> tuple[Any, ...]:
    """Return the order of duplicates of one mark: the last one is stored."""
    # The earlier arrival is the better bound of its time.
    return (-mark.at, -mark.arrived_at_ms, *_get_content(mark))


def limit_reports(reports: tuple[EventMark, ...]) -> tuple[EventMark, ...]:
    """Return the `reports` to store: the latest of each kind."""
    if len(reports) <= MAX_ENDINGS:
        return reports
    by_kind: dict[tuple[str, str], list[EventMark]] = {}
    for mark in reports:
        by_kind.setdefault((mark.source, mark.kind), []).append(mark)
    kept = [
        mark
        for told in by_kind.values()
        for mark in sorted(told, key=_get_arrival_order)[-MAX_ENDINGS:]
    ]
    return tuple(sorted(kept, key=get_report_key))


def order_none_first(value: object, least: object) -> tuple[bool, object]:
    """Return something that orders None before every `value`."""
    return (value is not None, least if value is None else value)


def _is_ending(mark: EventMark) -> bool:
    return mark.source == "backend" and mark.kind in OUTCOME_KINDS


def _get_arrival_order(mark: EventMark) -> tuple[Any, ...]:
    return (mark.arrived_at_ms, get_report_key(mark))


def _get_later_order(mark: EventMark) -> tuple[Any, ...]:
    return (mark.at, mark.arrived_at_ms, *_get_content(mark))


def _get_content(mark: EventMark) -> tuple[Any, ...]:
    return (
        mark.retries,
        mark.flag,
        mark.pid,
        mark.clock,
        order_none_first(mark.text, ""),
        order_none_first(mark.traceback, ""),
        order_none_first(mark.eta, 0.0),
        order_none_first(mark.expires, 0.0),
        order_none_first(mark.runtime, 0.0),
        order_none_first(mark.worker_time, 0.0),
    )
