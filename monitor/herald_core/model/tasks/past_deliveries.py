"""The summary of past deliveries whose marks were deleted. Pure.

A task that is retried for ever would grow for ever. Of old deliveries only the values
that others are counted by are stored: numbers, and the last clock of each worker. This
is the version vector of an observed-remove set (Bieniusa et al. 2012). A mark at or
before it that is not stored was deleted, so receiving it again changes nothing, in
whatever order tasks are joined.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from herald_core.model.tasks.deliveries import Delivery, EventMark

MAX_BOOTS = 128
"""Workers' processes that are remembered; of those before nothing comes any more."""

Boot: TypeAlias = tuple[int, float]
"""The clock and the event time of the last deleted mark."""


class PastDeliveries(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The summary. All fields only grow, except `submitted`, which is the earliest.

    `told` is the highest published attempt if the marks alone show a lower one.
    `number` is the highest number of a deleted delivery. `sendings` is the attempt
    (`retries`) below which all were deleted. `at` and `received_at` (ms) are of the
    latest event. `numbers` are those of stored deliveries before deleted ones, by the
    mark that started them. `boots` are by hostname and pid. `published` are the public
    numbers of deliveries that were shown under another than their own.
    """

    public_attempt: int = 0
    number: int = 0
    sendings: int = 0
    submitted: float | None = None
    at: float = 0.0
    received_at: int = 0
    numbers: dict[str, int] = {}
    boots: dict[str, Boot] = {}
    published: dict[str, int] = {}


NO_PAST = PastDeliveries()


def make_boot_key(mark: EventMark) -> str:
    """Return the key of the worker process that sent `mark`."""
    return f"{mark.pid} {mark.host}"


def make_delivery_key(run: Delivery) -> str:
    """Return the key of a started delivery, whatever other events arrive."""
    return _make_mark_key(run.started or run.ends[0])


def find_published(past: PastDeliveries, run: Delivery) -> int:
    """Return the number under which `run` was shown; 0: its own."""
    # Its start may arrive after its end.
    marks = (mark for mark in (run.started, *run.ends) if mark)
    return max(past.published.get(_make_mark_key(mark), 0) for mark in marks)


def _make_mark_key(mark: EventMark) -> str:
    return f"{mark.clock} {make_boot_key(mark)}"


def is_compacted(past: PastDeliveries, mark: EventMark) -> bool:
    """Return True if `mark`, which is not stored, was counted and deleted."""
    if mark.kind == "sent":
        return max(mark.retries, 0) < past.sendings
    clock, at = past.boots.get(make_boot_key(mark), (-1, 0.0))
    # A restarted container starts with a new clock, at a later time.
    return mark.clock <= clock and mark.event_time <= at


def join_pasts(
    a: PastDeliveries | None, b: PastDeliveries | None
) -> PastDeliveries | None:
    """Return the union of both; `a` itself if `b` adds nothing."""
    if a is None or b is None or a == b:
        return a or b
    sent = [one for one in (a.submitted, b.submitted) if one is not None]
    joined = PastDeliveries(
        max(a.public_attempt, b.public_attempt),
        max(a.number, b.number),
        max(a.sendings, b.sendings),
        min(sent, default=None),
        max(a.at, b.at),
        max(a.received_at, b.received_at),
        _join_numbers(a.numbers, b.numbers),
        select_newest_boots(_join_boots(a.boots, b.boots)),
        _join_numbers(a.published, b.published),
    )
    return a if joined == a else joined


def _join_numbers(a: dict[str, int], b: dict[str, int]) -> dict[str, int]:
    return a | {key: max(a.get(key, 0), number) for key, number in b.items()}


def _join_boots(a: dict[str, Boot], b: dict[str, Boot]) -> dict[str, Boot]:
    none = (-1, 0.0)
    return {
        key: (
            max(a.get(key, none)[0], b.get(key, none)[0]),
            max(a.get(key, none)[1], b.get(key, none)[1]),
        )
        for key in a.keys() | b.keys()
    }


def select_newest_boots(boots: dict[str, Boot]) -> dict[str, Boot]:
    """Return the stored ones of `boots`, in a canonical order."""
    newest = sorted(boots, key=lambda key: (boots[key][1], key))[-MAX_BOOTS:]
    return {key: boots[key] for key in sorted(newest)}
