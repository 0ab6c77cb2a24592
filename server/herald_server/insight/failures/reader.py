"""The causes of failures, as every interface presents them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from herald_core.errors import InvalidInput
from herald_core.model.failures.summary import (
    FailureDetail,
    FailureList,
    FailureSummary,
)
from herald_core.model.filters import Filter
from herald_core.model.patterns import PatternSet
from herald_core.model.rollups.rollup import OTHER_PART
from herald_core.model.tasks.views import TaskView, to_rfc3339
from herald_core.store.ports import Store
from herald_server.auth.scoped_store import forbid_scoped
from herald_server.insight.failures.evidence import make_evidence, make_update
from herald_server.insight.failures.minutes import FailureMinutes
from herald_server.insight.failures.summaries import (
    WINDOWS,
    CauseCounts,
    SeriesBins,
    make_range_bins,
    make_summary_fields,
    make_window_bins,
    rank_causes,
    sum_causes,
)

DAY_S = 86_400.0
DEFAULT_WINDOW = "1h"
DEFAULT_LIMIT = 50
MAX_LIMIT = 200

MAX_LOOKUPS = 20
"""Causes without a document that are described by a task of theirs."""

MAX_COUNTED = 100_000
"""Tasks of a cause that are counted."""

SAMPLE_SIZE = 200
"""The newest tasks of a cause whose workers are counted."""


class FailureReader:
    """Reads the causes of failures. They are about all tasks: task-scoped tokens are
    refused."""

    def __init__(self, store: Store, minutes: FailureMinutes) -> None:
        self._store = store
        self._minutes = minutes

    async def list_causes(
        self,
        window: str | None = None,
        names: Sequence[str] = (),
        limit: int = DEFAULT_LIMIT,
        after: float | None = None,
        before: float | None = None,
    ) -> FailureList:
        """Return the causes of a window of `WINDOWS`, the most frequent first.

        `after` and `before` (unix seconds, of the last day) give another range. `names`
        selects names of tasks (globs). Raises `InvalidInput`, `StoreError`, and
        `ScopedTokenRefused`.
        """
        now = time.time()
        window, bins = choose_bins(window, after, before, now)
        sums = await self._sum(bins, now, names)
        ranked = rank_causes(sums)
        documents = await self._read_documents(ranked[:limit])
        deployed_at = await self._find_deploy()
        return FailureList(
            window=window,
            **_describe_bins(bins, now),
            count=sum(one.failed for one in sums.values()),
            retried=sum(one.retried for one in sums.values()),
            other=_count_other(sums),
            total=len(ranked),
            deployed_at=deployed_at,
            failures=tuple(
                FailureSummary(
                    **make_summary_fields(
                        cause, sums[cause], documents.get(cause, {}), deployed_at
                    )
                )
                for cause in ranked[:limit]
            ),
        )

    async def get_cause(
        self, fingerprint: str, window: str = "24h"
    ) -> FailureDetail | None:
        """Return one cause with its spread; None if nothing is known of it.

        Raises `InvalidInput`, `StoreError`, and `ScopedTokenRefused`.
        """
        now = time.time()
        named, bins = choose_bins(window, None, None, now)
        counts = (await self._sum(bins, now)).get(fingerprint)
        known = (await self._read_documents([fingerprint])).get(fingerprint)
        filter_ = Filter(failure=(fingerprint,))
        tasks = (await self._store.list_tasks(filter_, limit=SAMPLE_SIZE)).tasks
        if fingerprint == OTHER_PART or not (counts or known or tasks):
            return None
        fields = make_summary_fields(
            fingerprint, counts, known or {}, await self._find_deploy()
        )
        workers = Counter(task.worker for task in tasks if task.worker)
        return FailureDetail(
            **fields,
            window=named,
            **_describe_bins(bins, now),
            tasks=await self._count(filter_, tasks),
            worker_counts=dict(workers.most_common()),
            sampled=len(tasks),
        )

    async def _sum(
        self, bins: SeriesBins, now: float, names: Sequence[str] = ()
    ) -> dict[str, CauseCounts]:
        fits = PatternSet(names).matches if names else None
        return sum_causes(await self._minutes.read_day(now), bins, fits)

    async def _count(self, filter_: Filter, tasks: Sequence[TaskView]) -> int:
        if len(tasks) < SAMPLE_SIZE:
            return len(tasks)
        return await self._store.count_tasks(filter_, MAX_COUNTED)

    async def _read_documents(
        self, causes: Sequence[str]
    ) -> dict[str, Mapping[str, Any]]:
        """Return the data of the documents of `causes`.

        Those that are not stored yet are made of a task with the cause.
        """
        listed = await self._store.list_documents("failures")
        known: dict[str, Mapping[str, Any]] = {one.id: one.data for one in listed}
        missing = [cause for cause in causes if cause not in known]
        for cause in missing[:MAX_LOOKUPS]:
            found = await self._store.list_tasks(Filter(failure=(cause,)), limit=1)
            for task in found.tasks:
                made = make_update(make_evidence(task), None, None)(None)
                known[cause] = made or {}
        return known

    async def _find_deploy(self) -> str | None:
        """Return the time of the newest mark of a deploy, RFC 3339; None without."""
        forbid_scoped("deploys")
        marks = await self._store.list_documents("marks")
        times = [one.data.get("at") for one in marks]
        return max((at for at in times if isinstance(at, str)), default=None)


def choose_bins(
    window: str | None, after: float | None, before: float | None, now: float
) -> tuple[str | None, SeriesBins]:
    """Return the window, if it is one, and its bins. Raises `InvalidInput`."""
    if after is None and before is None:
        window = window or DEFAULT_WINDOW
        if window not in WINDOWS:
            raise InvalidInput(f"window must be one of {', '.join(WINDOWS)}", "window")
        return window, make_window_bins(window, now)
    if window is not None:
        raise InvalidInput("give window, or after and before", "window")
    end = min(now if before is None else before, now)
    begin = end - DAY_S if after is None else after
    if begin >= end:
        raise InvalidInput("after must be a time before `before` and now", "after")
    return None, make_range_bins(max(begin, now - DAY_S), end)


def _describe_bins(bins: SeriesBins, now: float) -> dict[str, Any]:
    end = min(bins.first + bins.count * bins.step, now)
    return {
        "since": to_rfc3339(bins.first),
        "until": to_rfc3339(end),
        "bin_seconds": bins.step,
    }


def _count_other(sums: Mapping[str, CauseCounts]) -> int:
    other = sums.get(OTHER_PART)
    return other.failed + other.retried if other else 0


def to_plain(value: msgspec.Struct) -> dict[str, Any]:
    """Return an answer of the reader as plain JSON values."""
    plain: dict[str, Any] = msgspec.to_builtins(value)
    return plain
