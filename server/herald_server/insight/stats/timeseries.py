"""Time series of task counts, in bins, for charts. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from herald_core.model.gaps import Gap
from herald_core.model.marks.mark import Mark
from herald_core.model.patterns import compile_glob
from herald_core.model.rollups.rollup import (
    OTHER_PART,
    Rollup,
    add_counts,
    compute_percentile,
    merge_rollups,
)
from herald_core.model.tasks.views import from_rfc3339, to_rfc3339
from herald_core.model.workers.worker import OFFLINE, SILENT, WorkerView

WINDOWS = {"1h": (3_600, 60), "24h": (86_400, 600)}
"""Window → its length and that of a bin, in seconds."""

MAX_ANNOTATIONS = 200


class RuntimePercentiles(msgspec.Struct, frozen=True):
    """Percentiles of the runtimes of successful tasks, in seconds;
    error at most 9 %."""

    p50: float
    p95: float
    p99: float


class OutcomeStats(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Counts. `failure_rate` is failures among those that succeeded or
    failed, absent if there were none; so is `runtime` if none
    succeeded."""

    counts: dict[str, int]
    failure_rate: float | None = None
    runtime: RuntimePercentiles | None = None


class TimeBin(OutcomeStats, frozen=True, omit_defaults=True, kw_only=True):
    """Counts of some minutes, from `at` on."""

    at: str


class Annotation(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """An annotation of a chart: `gap`, `worker_started`,
    `worker_offline` or `worker_silent`, or a mark: `deploy`, `release` or `software`.
    For a gap, `state` is `open`, `closed` or `unrepairable`. `id` is that of a mark."""

    at: str
    kind: str
    what: str
    until: str | None = None
    state: str | None = None
    id: str | None = None


def compute_failure_rate(counts: Mapping[str, int]) -> float | None:
    """Return failures among tasks that succeeded or failed; None if there are none."""
    failed = counts.get("failed", 0)
    ended = failed + counts.get("succeeded", 0)
    return round(failed / ended, 4) if ended else None


def compute_runtime(buckets: Mapping[int, int]) -> RuntimePercentiles | None:
    """Return the percentiles of runtime buckets; None if they are empty."""
    p50, p95, p99 = (compute_percentile(buckets, part) for part in (0.5, 0.95, 0.99))
    if p50 is None or p95 is None or p99 is None:
        return None
    return RuntimePercentiles(p50, p95, p99)


def compute_statistics(minute: Rollup) -> OutcomeStats:
    """Return the counts of one rollup, or of a sum of them."""
    return OutcomeStats(
        counts=minute.counts,
        failure_rate=compute_failure_rate(minute.counts),
        runtime=compute_runtime(minute.runtimes),
    )


def select_rollups(
    minutes: Sequence[Rollup], names: Sequence[str] = (), queues: Sequence[str] = ()
) -> list[Rollup]:
    """Return rollups with the counts of some names or queues (globs) only.

    Queues have no runtimes.
    """
    if not names and not queues:
        return list(minutes)
    counted = [one.names if names else one.queues for one in minutes]
    fits = [compile_glob(pattern) for pattern in names or queues]
    there = dict.fromkeys(part for parts in counted for part in parts)
    chosen = [part for part in there if any(fit(part) for fit in fits)]
    found: list[Rollup] = []
    for one, parts in zip(minutes, counted, strict=True):
        counts, runtimes = dict[str, int](), dict[int, int]()
        for part in chosen:
            add_counts(counts, parts.get(part, {}))
            add_counts(runtimes, one.runtimes_of.get(part, {}) if names else {})
        if counts:
            found.append(Rollup(at=one.at, counts=counts, runtimes=runtimes))
    return found


def is_whole(minutes: Iterable[Rollup], *, names: bool, queues: bool) -> bool:
    """Return True if every name, or queue, was counted separately in each minute."""
    return not any(
        (names and OTHER_PART in one.names) or (queues and OTHER_PART in one.queues)
        for one in minutes
    )


def make_bins(minutes: Iterable[Rollup], window: str, now: float) -> list[TimeBin]:
    """Return rollups in the bins of a `window` of `WINDOWS`, oldest first.

    Empty bins are included; the last one is still growing.
    """
    length, step = WINDOWS[window]
    last = int(now // step) * step
    first = last - length + step
    parts: dict[int, list[Rollup]] = {at: [] for at in range(first, last + 1, step)}
    for minute in minutes:
        at = minute.at // step * step
        if at in parts:
            parts[at].append(minute)
    return [_make_bin(at, merge_rollups(some)) for at, some in parts.items()]


def _make_bin(at: int, minute: Rollup) -> TimeBin:
    statistics = compute_statistics(minute)
    return TimeBin(
        at=to_rfc3339(at),
        counts=statistics.counts,
        failure_rate=statistics.failure_rate,
        runtime=statistics.runtime,
    )


def list_annotations(
    gaps: Iterable[Gap],
    workers: Iterable[WorkerView],
    marks: Iterable[Mark],
    since: float,
) -> list[Annotation]:
    """Return the annotations from `since` (unix seconds) on, oldest first.

    For a worker they are its last start, and its last heartbeat if it is gone. Of too
    many the newest are kept, and marks go before others.
    """
    found = [
        Annotation(
            at=gap.since, until=gap.until, kind="gap", what=gap.reason, state=gap.state
        )
        for gap in gaps
        if from_rfc3339(gap.until) >= since
    ]
    for worker in workers:
        found += _annotate_worker(worker)
    found = [one for one in found if one.kind == "gap" or from_rfc3339(one.at) >= since]
    found.sort(key=lambda one: one.at, reverse=True)
    kept = [*_annotate_marks(marks, since), *found][:MAX_ANNOTATIONS]
    return sorted(kept, key=lambda one: one.at)


def _annotate_marks(marks: Iterable[Mark], since: float) -> list[Annotation]:
    """Return the annotations of `marks`, which are the newest first."""
    return [
        Annotation(at=one.at, until=one.until, kind=one.kind, what=one.what, id=one.id)
        for one in marks
        if from_rfc3339(one.at) >= since
    ]


def _annotate_worker(worker: WorkerView) -> list[Annotation]:
    found: list[Annotation] = []
    if worker.started_at:
        found.append(
            Annotation(
                at=worker.started_at, kind="worker_started", what=worker.hostname
            )
        )
    if worker.state in (OFFLINE, SILENT) and worker.last_heartbeat_at:
        kind = f"worker_{worker.state}"
        at = worker.last_heartbeat_at
        found.append(Annotation(at=at, kind=kind, what=worker.hostname))
    return found
