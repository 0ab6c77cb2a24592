"""What happened over time, in bins of some minutes, for charts. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from herald_monitor.model.patterns import glob
from herald_monitor.model.rollups import OTHER, Rollup, add, percentile, summed
from herald_monitor.model.shape import rfc3339, unix
from herald_monitor.model.workers import OFFLINE, SILENT, WorkerImage
from herald_monitor.store import Gap

WINDOWS = {"1h": (3_600, 60), "24h": (86_400, 600)}
"""Window → its length and that of a bin, in seconds."""

MOST_MARKS = 200


class Runtime(msgspec.Struct, frozen=True):
    """Runtimes of what succeeded, in seconds; at most 9 % off."""

    p50: float
    p95: float
    p99: float


class Figures(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What was counted. `failure_rate` is failures among those that succeeded or
    failed, absent if there were none; so is `runtime` where none succeeded."""

    counts: dict[str, int]
    failure_rate: float | None = None
    runtime: Runtime | None = None


class Bin(Figures, frozen=True, omit_defaults=True, kw_only=True):
    """Some minutes, from `at` on."""

    at: str


class Mark(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Something to be seen beside the figures: `gap`, `worker_started`,
    `worker_offline` or `worker_silent`. Of a gap `state` is `open` or `closed`."""

    at: str
    kind: str
    what: str
    until: str | None = None
    state: str | None = None


def failure_rate(counts: Mapping[str, int]) -> float | None:
    """Return failures among what succeeded or failed; None if nothing did."""
    failed = counts.get("failed", 0)
    ended = failed + counts.get("succeeded", 0)
    return round(failed / ended, 4) if ended else None


def runtime(buckets: Mapping[int, int]) -> Runtime | None:
    """Return the percentiles of runtimes counted by bucket; None if there are none."""
    p50, p95, p99 = (percentile(buckets, part) for part in (0.5, 0.95, 0.99))
    if p50 is None or p95 is None or p99 is None:
        return None
    return Runtime(p50, p95, p99)


def figures(minute: Rollup) -> Figures:
    """Return what one minute, or a sum of them, comes to."""
    return Figures(
        counts=minute.counts,
        failure_rate=failure_rate(minute.counts),
        runtime=runtime(minute.runtimes),
    )


def narrowed(
    minutes: Sequence[Rollup], names: Sequence[str] = (), queues: Sequence[str] = ()
) -> list[Rollup]:
    """Return `minutes` with the counts of some names (with wildcards), or queues only.

    Queues have no runtimes.
    """
    if not names and not queues:
        return list(minutes)
    counted = [one.names if names else one.queues for one in minutes]
    fits = [glob(pattern) for pattern in names or queues]
    there = dict.fromkeys(part for parts in counted for part in parts)
    chosen = [part for part in there if any(fit(part) for fit in fits)]
    found: list[Rollup] = []
    for one, parts in zip(minutes, counted, strict=True):
        counts, runtimes = dict[str, int](), dict[int, int]()
        for part in chosen:
            add(counts, parts.get(part, {}))
            add(runtimes, one.runtimes_of.get(part, {}) if names else {})
        if counts:
            found.append(Rollup(at=one.at, counts=counts, runtimes=runtimes))
    return found


def is_whole(minutes: Iterable[Rollup], *, names: bool, queues: bool) -> bool:
    """Say whether every name, or queue, was counted apart in each minute."""
    return not any(
        (names and OTHER in one.names) or (queues and OTHER in one.queues)
        for one in minutes
    )


def bins(minutes: Iterable[Rollup], window: str, now: float) -> list[Bin]:
    """Return `minutes` in the bins of a `window` of `WINDOWS`, oldest first.

    All bins are there, also those in which nothing happened; the last goes on.
    """
    length, step = WINDOWS[window]
    last = int(now // step) * step
    first = last - length + step
    parts: dict[int, list[Rollup]] = {at: [] for at in range(first, last + 1, step)}
    for minute in minutes:
        at = minute.at // step * step
        if at in parts:
            parts[at].append(minute)
    return [_bin(at, summed(some)) for at, some in parts.items()]


def _bin(at: int, minute: Rollup) -> Bin:
    told = figures(minute)
    return Bin(
        at=rfc3339(at),
        counts=told.counts,
        failure_rate=told.failure_rate,
        runtime=told.runtime,
    )


def marks(
    gaps: Iterable[Gap], workers: Iterable[WorkerImage], since: float
) -> list[Mark]:
    """Return what to mark from `since` (unix seconds) on, oldest first.

    Of a worker its last start is known, and its last word if it is gone.
    """
    found = [
        Mark(
            at=gap.since, until=gap.until, kind="gap", what=gap.reason, state=gap.state
        )
        for gap in gaps
        if unix(gap.until) >= since
    ]
    for worker in workers:
        found += _of_worker(worker)
    found = [one for one in found if one.kind == "gap" or unix(one.at) >= since]
    return sorted(found, key=lambda mark: mark.at)[-MOST_MARKS:]


def _of_worker(worker: WorkerImage) -> list[Mark]:
    found: list[Mark] = []
    if worker.started_at:
        found.append(
            Mark(at=worker.started_at, kind="worker_started", what=worker.hostname)
        )
    if worker.state in (OFFLINE, SILENT) and worker.last_heartbeat_at:
        kind = f"worker_{worker.state}"
        at = worker.last_heartbeat_at
        found.append(Mark(at=at, kind=kind, what=worker.hostname))
    return found
