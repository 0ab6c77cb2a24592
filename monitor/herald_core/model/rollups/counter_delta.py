"""The amount that one change of a task adds to the counters of Prometheus. Pure.

Unlike minutes, these counters only grow: an event counts once, under the name, queue
and host that are known when it is stored, as celery-exporter counts it. What a later
event moves from one minute or name to another is no event, and counts as none.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from functools import lru_cache
from typing import TypeAlias

import msgspec

from herald_core.model.rollups.rollup import EVENT_WORDS
from herald_core.model.rollups.rollup_delta import RollupDelta
from herald_core.model.tasks.deliveries import EventMark
from herald_core.model.tasks.task import Task
from herald_core.model.tasks.views import TaskView

COUNTED_WORDS = EVENT_WORDS[:-1]
"""The events with a counter: all but `lost`, which is taken back if it was wrong."""

RUNTIME_BUCKETS_S = (
    *(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0),
    *(2.5, 5.0, 7.5, 10.0),
)
"""Upper bounds in seconds: those of prometheus-client, as celery-exporter has them."""

WAIT_BUCKETS_S = (
    *(0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
    *(120.0, 300.0, 600.0, 1800.0),
)
"""Upper bounds in seconds of waits in a queue: celery-exporter's."""

GENERIC_HOST = "generic"
"""Stands for all hosts, if hosts are not told apart: celery-exporter's word."""

UNKNOWN_EXCEPTION = "UnknownException"
MAX_LABEL_CHARS = 200
NO_BUCKET = -1.0
_CLASS = re.compile(r"^(\w+)\(")


class CounterRules(msgspec.Struct, frozen=True):
    """How events are counted. Bounds are in seconds and rise.

    At most `max_series` combinations of name, queue, host and exception are counted
    apart. One without events for `retention_s` is deleted.
    """

    runtime_buckets: tuple[float, ...] = RUNTIME_BUCKETS_S
    wait_buckets: tuple[float, ...] = WAIT_BUCKETS_S
    has_hosts: bool = True
    max_series: int = 1_000
    retention_s: float = 86_400.0


DEFAULT_COUNTER_RULES = CounterRules()


class CounterLabels(msgspec.Struct, frozen=True, array_like=True):
    """What a series counts. An empty text stands for what is not known."""

    name: str
    queue: str
    host: str
    exception: str = ""


CounterRow: TypeAlias = tuple[CounterLabels, tuple[tuple[str, int], ...]]
"""What is added to one series: a number by event, and by bucket as of `make_bucket`."""


class CounterDelta(msgspec.Struct, frozen=True, gc=False):
    """What a change adds. Equal changes share `rows`: do not modify them.

    `runtime_s` and `wait_s` are added to the last row, to which their buckets belong.
    """

    rows: tuple[CounterRow, ...]
    runtime_s: float = 0.0
    wait_s: float = 0.0
    trace_id: str = ""
    """The trace of a task with a runtime, if it is known."""


def make_bucket(kind: str, bound: float | None) -> str:
    """Return the code of a bucket: `kind` is `r` or `w`, None the one without end."""
    return f"{kind}{'' if bound is None else f'{bound:g}'}"


def make_counter_delta(
    old: Task | None,
    task: Task,
    image: TaskView,
    added: RollupDelta,
    rules: CounterRules = DEFAULT_COUNTER_RULES,
) -> CounterDelta | None:
    """Return what a change adds to the counters; None if that is nothing.

    `added` is what it adds to the minutes.
    """
    words, counts = added.events.words, added.events.counts
    if _is_rejected_too(old, task, words):
        counts = (*counts, ("rejected", 1))
    if not counts:
        return None
    runtime = image.runtime if "succeeded" in words else None
    sent = wait = None
    if "submitted" in words or "started" in words:
        sent, received, started = _find_newest_start(task.marks)
        if (
            sent is not None
            and started is not None
            and "started" in words
            and (old is None or started not in old.marks)
        ):
            # The time until an ETA, of a countdown or a retry, is no wait.
            eta = (received.eta if received is not None else None) or 0.0
            wait = max(started.at - max(sent.at, sent.eta or 0.0, eta), 0.0)
    rows = _make_rows(
        counts,
        image.name,
        image.queue,
        image.worker,
        sent.host if sent is not None else None,
        parse_exception_class(image.exception) if "failed" in words else "",
        NO_BUCKET if runtime is None else _find_bound(runtime, rules.runtime_buckets),
        NO_BUCKET if wait is None else _find_bound(wait, rules.wait_buckets),
        rules.has_hosts,
    )
    trace = image.trace_id or "" if runtime is not None else ""
    return CounterDelta(rows, runtime or 0.0, wait or 0.0, trace)


def _is_rejected_too(old: Task | None, task: Task, words: frozenset[str]) -> bool:
    """Return True if a change adds the rejection of a failed task.

    Celery sends both events of a task that rejects its message for good (since 5.6).
    Minutes count one end of it.
    """
    if words and "failed" not in words:
        return False
    known = old.marks if old is not None else ()
    return any(mark.kind == "rejected" and mark not in known for mark in task.marks)


_Start: TypeAlias = tuple[EventMark | None, EventMark | None, EventMark | None]
"""The newest start, behind the newest sending and receipt before it."""


def _find_newest_start(marks: Sequence[EventMark]) -> _Start:
    sent = received = started = None
    for mark in marks:
        if mark.kind == "started":
            if started is None or mark.at > started.at:
                started = mark
        elif mark.kind == "received":
            if received is not None:
                return _find_among_retries(marks)
            received = mark
        elif mark.kind == "sent":
            if sent is not None:
                return _find_among_retries(marks)
            sent = mark
    return sent, received, started


def _find_among_retries(marks: Sequence[EventMark]) -> _Start:
    """Return the same of a task that was sent or received several times.

    The next retry may be sent already. Many workers send no event of it: that it was
    received tells its ETA.
    """
    starts = [mark for mark in marks if mark.kind == "started"]
    started = max(starts, key=_get_time, default=None)
    sent, received = (
        _find_last_before(started, [one for one in marks if one.kind == kind])
        for kind in ("sent", "received")
    )
    return sent, received, started


def _find_last_before(
    started: EventMark | None, marks: Sequence[EventMark]
) -> EventMark | None:
    """Return the last of `marks` before a start, else the first one."""
    ordered = sorted(marks, key=_get_time)
    before = [m for m in ordered if started is None or m.at <= started.at]
    chosen = before[-1:] or ordered[:1]
    return chosen[0] if chosen else None


def _get_time(mark: EventMark) -> float:
    return mark.at


@lru_cache(maxsize=1024)
def parse_exception_class(text: str | None) -> str:
    """Return the class of an exception's `repr`."""
    found = _CLASS.match(text or "")
    return found[1][:MAX_LABEL_CHARS] if found else UNKNOWN_EXCEPTION


@lru_cache(maxsize=16_384)
def _make_rows(
    counts: tuple[tuple[str, int], ...],
    name: str | None,
    queue: str | None,
    worker: str | None,
    sender: str | None,
    exception: str,
    runtime_bound: float | None,
    wait_bound: float | None,
    has_hosts: bool,
) -> tuple[CounterRow, ...]:
    """Return the rows of a change: the same object for all that add the same.

    A bound is the upper one of the bucket, or `NO_BUCKET`.
    """
    host = _find_host(worker) if has_hosts else GENERIC_HOST
    common = CounterLabels(_cut(name), _cut(queue), host)
    rows: list[CounterRow] = []
    last: list[tuple[str, int]] = []
    for word, number in counts:
        if word == "submitted":
            client = _find_host(sender) if has_hosts else GENERIC_HOST
            one = msgspec.structs.replace(common, host=client)
            rows.append((one, ((word, number),)))
        elif word == "failed":
            one = msgspec.structs.replace(common, exception=exception)
            rows.append((one, ((word, number),)))
        else:
            last.append((word, number))
    if runtime_bound != NO_BUCKET:
        last.append((make_bucket("r", runtime_bound), 1))
    if wait_bound != NO_BUCKET:
        last.append((make_bucket("w", wait_bound), 1))
    return (*rows, (common, tuple(last))) if last else tuple(rows)


def _cut(text: str | None) -> str:
    return text[:MAX_LABEL_CHARS] if text else ""


def _find_host(nodename: str | None) -> str:
    """Return the host in the name of a worker or a client, `celery@host`."""
    name = nodename or ""
    return _cut(name.partition("@")[2] or name)


def _find_bound(value: float, bounds: Sequence[float]) -> float | None:
    """Return the first bound that is not less; None above all of them."""
    place = bisect_left(bounds, value)
    return bounds[place] if place < len(bounds) else None
