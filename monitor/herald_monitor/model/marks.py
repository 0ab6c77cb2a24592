"""Marks in an order of their own, and which of two that say the same is kept. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from typing import Any

from herald_monitor.model.runs import ORDER, OUTCOMES, Mark

MOST_ENDINGS = 8
"""Endings of one kind that a backend may have stored one after the other."""


def unite(
    a: tuple[Mark, ...],
    b: tuple[Mark, ...],
    key: Callable[[Mark], tuple[Any, ...]],
    order: Callable[[Mark], tuple[Any, ...]],
) -> tuple[Mark, ...]:
    """Return `a` and `b`, both sorted by `key`, and of each key the last by `order`."""
    for mark in b:
        own = key(mark)
        i = bisect_left(a, own, key=key)
        if i == len(a) or key(a[i]) != own:
            a = (*a[:i], mark, *a[i:])
        elif order(mark) > order(a[i]):
            a = (*a[:i], mark, *a[i + 1 :])
    return a


def holds(marks: tuple[Mark, ...], key: tuple[Any, ...]) -> bool:
    """Say whether a mark of that `mark_key` is one of `marks`, sorted by it."""
    i = bisect_left(marks, key, key=mark_key)
    return i < len(marks) and mark_key(marks[i]) == key


def mark_key(mark: Mark) -> tuple[Any, ...]:
    """Return what makes two marks the same saying.

    The time is part of it: a container that is restarted has its old hostname
    and pid, and its clock begins anew.
    """
    return (
        mark.host,
        mark.pid,
        mark.clock,
        ORDER[mark.kind],
        mark.source,
        mark.spoken,
    )


def report_key(mark: Mark) -> tuple[Any, ...]:
    """Return what makes two reports the same: of the others the later counts."""
    # When it was stored tells two endings apart; the rest is true when it is heard.
    stored = mark.spoken if _is_ending(mark) else 0.0
    return (mark.source, mark.kind, mark.host, stored)


def report_order(mark: Mark) -> tuple[Any, ...]:
    """Return what orders two reports of one key: the last is kept."""
    return sooner(mark) if _is_ending(mark) else _later(mark)


def sooner(mark: Mark) -> tuple[Any, ...]:
    """Return what orders one saying, heard twice: the last is kept."""
    # The earlier hearing bounds its time better.
    return (-mark.at, -mark.arrived, *_content(mark))


def bounded(reports: tuple[Mark, ...]) -> tuple[Mark, ...]:
    """Return those of `reports` that are kept: of each kind the latest."""
    if len(reports) <= MOST_ENDINGS:
        return reports
    by_kind: dict[tuple[str, str], list[Mark]] = {}
    for mark in reports:
        by_kind.setdefault((mark.source, mark.kind), []).append(mark)
    kept = [
        mark
        for told in by_kind.values()
        for mark in sorted(told, key=_hearing)[-MOST_ENDINGS:]
    ]
    return tuple(sorted(kept, key=report_key))


def or_less(value: object, least: object) -> tuple[bool, object]:
    """Return something that orders None before every `value`."""
    return (value is not None, least if value is None else value)


def _is_ending(mark: Mark) -> bool:
    return mark.source == "backend" and mark.kind in OUTCOMES


def _hearing(mark: Mark) -> tuple[Any, ...]:
    return (mark.arrived, report_key(mark))


def _later(mark: Mark) -> tuple[Any, ...]:
    return (mark.at, mark.arrived, *_content(mark))


def _content(mark: Mark) -> tuple[Any, ...]:
    return (
        mark.retries,
        mark.flag,
        mark.pid,
        mark.clock,
        or_less(mark.text, ""),
        or_less(mark.traceback, ""),
        or_less(mark.eta, 0.0),
        or_less(mark.expires, 0.0),
        or_less(mark.runtime, 0.0),
        or_less(mark.said, 0.0),
    )
