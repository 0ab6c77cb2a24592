"""What a worker did in a span of time: the attempts that it ran, and its changes.

The search is bounded: it reads tasks from the newest to older ones, and says how far it
came.
"""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

import msgspec

from herald_core.errors import InvalidInput
from herald_core.model.filters import Filter
from herald_core.model.queries.moments import parse_instant
from herald_core.model.tasks import views
from herald_core.model.tasks.views import (
    AttemptView,
    TaskView,
    from_rfc3339,
    to_rfc3339,
)
from herald_core.store.ports import Store
from herald_server.insight.workers.state_log import StateChange, StateLog

MAX_SEARCHED = 20_000
"""Tasks that are looked at: those of the worker, and as many of all workers."""

SEARCH_TIMEOUT_S = 3.0
MAX_RUNS = 500
"""Runs that are listed."""

PAGE_SIZE = 500

CLOCK_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?")
DAY_S = 86_400.0


def parse_moment(text: str | None, now: float) -> float:
    """Return a moment in unix seconds: RFC 3339, or `02:13`, the last one in UTC.

    Without `text` it is `now`. Raises `InvalidInput`.
    """
    if text is None:
        return now
    if clock := CLOCK_TIME.fullmatch(text):
        hours, minutes, seconds = (int(part or 0) for part in clock.groups())
        of_day = hours * 3600 + minutes * 60 + seconds
        at = now // DAY_S * DAY_S + of_day
        return at if at <= now else at - DAY_S
    # An unescaped + in a query is a space.
    found = parse_instant(text.replace(" ", "+"))
    if found is None:
        raise InvalidInput(
            "at must be an RFC 3339 time such as 2026-01-31T02:13:00Z, or 02:13 in UTC",
            "at",
        )
    return found


class Span(msgspec.Struct, frozen=True):
    """A span of time, in unix seconds."""

    since: float
    until: float

    def overlaps(self, start: str | None, end: str | None) -> bool:
        """Return True if a run from `start` to `end` (RFC 3339) was in it.

        A run without an end goes on, or nobody knows when it ended.
        """
        if start is None or from_rfc3339(start) > self.until:
            return False
        return end is None or from_rfc3339(end) >= self.since


class WorkerRun(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A run of a task on the worker. `goes_on`: it runs now."""

    id: str
    name: str | None = None
    attempt: int = 1
    state: str
    started_at: str
    finished_at: str | None = None
    runtime: float | None = None
    queue: str | None = None
    exception: str | None = None
    goes_on: bool = False


class _Search:
    """Counts what was looked at, and stops in time."""

    def __init__(self, store: Store, span: Span) -> None:
        self.searched = 0
        self.back_to: str | None = None
        self.is_whole = True
        self._store = store
        self._span = span
        self._deadline = time.monotonic() + SEARCH_TIMEOUT_S

    async def iter_tasks(self, filter_: Filter) -> AsyncIterator[TaskView]:
        """Yield tasks that were known by the end of the span, newest first."""
        page, seen = None, 0
        while True:
            found = await self._store.list_tasks(
                filter_, limit=PAGE_SIZE, page=page, before=self._span.until
            )
            for task in found.tasks:
                yield task
            seen += len(found.tasks)
            self.searched += len(found.tasks)
            page = found.next
            if page is None:
                return
            if seen >= MAX_SEARCHED or time.monotonic() > self._deadline:
                self.is_whole = False
                self._note_end(found.tasks)
                return

    def _note_end(self, tasks: Sequence[TaskView]) -> None:
        """Note how far back was searched: to the newest of the places."""
        last = tasks[-1] if tasks else TaskView(id="")
        at = last.submitted_at or last.received_at or last.started_at
        if at is not None:
            self.back_to = max(self.back_to or at, at)


async def read_history(
    store: Store, log: StateLog, hostname: str, span: Span
) -> dict[str, Any]:
    """Return what `hostname` did in `span`, as JSON. Raises `StoreError`."""
    search = _Search(store, span)
    runs: dict[tuple[str, int], WorkerRun] = {}
    async for task in search.iter_tasks(Filter(worker=(hostname,))):
        for run in select_runs(task, await _read_attempts(store, task), hostname, span):
            runs[run.id, run.attempt] = run
    # An earlier run of a task may have been here, and its last one elsewhere.
    async for task in search.iter_tasks(Filter()):
        if (task.attempt or 1) > 1 and task.worker != hostname:
            attempts = await store.list_attempts(task.id)
            for run in select_runs(task, attempts, hostname, span):
                runs[run.id, run.attempt] = run
    listed = sorted(runs.values(), key=lambda one: one.started_at)
    changes = await log.list_changes(hostname)
    return {
        "worker": hostname,
        "since": to_rfc3339(span.since),
        "until": to_rfc3339(span.until),
        "runs": listed[:MAX_RUNS],
        "total": len(listed),
        "searched": search.searched,
        "whole": search.is_whole,
        **({"searched_back_to": search.back_to} if search.back_to else {}),
        "changes": select_changes(changes, span),
        "state_before": find_state_before(changes, span),
        "message": _describe(len(listed), search),
    }


async def _read_attempts(store: Store, task: TaskView) -> Sequence[AttemptView]:
    if (task.attempt or 1) > 1:
        return await store.list_attempts(task.id)
    return [
        AttemptView(
            attempt=task.attempt or 1,
            state=task.state,
            worker=task.worker,
            started_at=task.started_at,
            finished_at=task.finished_at,
            runtime=task.runtime,
            exception=task.exception,
        )
    ]


def select_runs(
    task: TaskView, attempts: Iterable[AttemptView], hostname: str, span: Span
) -> list[WorkerRun]:
    """Return the runs among `attempts` that were on `hostname` in `span`. Pure."""
    return [
        WorkerRun(
            id=task.id,
            name=task.name,
            attempt=one.attempt,
            state=one.state,
            started_at=one.started_at or "",
            finished_at=one.finished_at,
            runtime=one.runtime,
            queue=task.queue,
            exception=one.exception,
            goes_on=one.state == views.STARTED and task.state == views.STARTED,
        )
        for one in attempts
        if one.worker == hostname and span.overlaps(one.started_at, one.finished_at)
    ]


def select_changes(changes: Iterable[StateChange], span: Span) -> list[StateChange]:
    """Return the changes in `span`, oldest first. Pure."""
    return sorted(
        (one for one in changes if span.since <= from_rfc3339(one.at) <= span.until),
        key=lambda one: one.at,
    )


def find_state_before(changes: Iterable[StateChange], span: Span) -> StateChange | None:
    """Return the last change before `span`; None if none is recorded. Pure."""
    before = [one for one in changes if from_rfc3339(one.at) < span.since]
    return max(before, key=lambda one: one.at, default=None)


def _describe(total: int, search: _Search) -> str:
    if search.is_whole:
        return f"{total} runs; all {search.searched:,} tasks were searched."
    return (
        f"{total} runs were found; {search.searched:,} tasks were searched, back to"
        f" {search.back_to or 'an unknown time'}. Older tasks may have run then too."
    )
