"""Keep the documents of causes up to date: topic `failures`.

One server process does so at a time, by a lease. It follows the log, so nothing is
asked of the store while nothing fails. Counts are read from the rollups, so they are
exact whoever writes them, and however often.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from itertools import islice

from msgspec.structs import replace

from herald_core.errors import StoreError
from herald_core.model.changes import TASK, LogEntry
from herald_core.model.documents import MAX_DOCUMENT_TTL_S, DocumentUpdate
from herald_core.model.filters import Filter
from herald_core.model.tasks.views import TaskView, from_rfc3339, to_rfc3339
from herald_core.store.lease import Lease
from herald_core.store.ports import Store
from herald_server.insight.failures.evidence import (
    CauseEvidence,
    find_cause,
    make_counts_update,
    make_evidence,
    make_update,
    merge_evidence,
)
from herald_server.insight.failures.minutes import FailureMinutes
from herald_server.insight.failures.summaries import (
    CauseCounts,
    make_window_bins,
    rank_causes,
    sum_causes,
)
from herald_server.insight.stats.rollup_cache import DAY_S
from herald_server.push.log.hub import Hub

log = logging.getLogger(__name__)

KIND = "failures"
LEASE_NAME = "failures"

WRITE_INTERVAL_S = 1.0
"""Seconds between two writes: a cause changes at most so often."""

WAKE_INTERVAL_S = 5.0
"""Seconds after which the lease is looked at, if nothing fails."""

REFRESH_INTERVAL_S = 60.0
"""Seconds after which all counts are read again: failures leave the window."""

MAX_PENDING = 1_000
"""Causes that wait to be written. Further ones are found when counts are read."""

MAX_WRITTEN = 100
"""Causes that are written at once."""

MAX_LOOKUPS = 100
"""Causes without a document that are described at once."""

RELEASES_TTL_S = 10.0
"""Seconds for which the releases of the workers are taken as they are."""


class CauseRecorder:
    """Writes the documents of causes while this process holds the lease."""

    def __init__(
        self, store: Store, hub: Hub, minutes: FailureMinutes, owner: str
    ) -> None:
        self._store = store
        self._hub = hub
        self._minutes = minutes
        self._lease = Lease(store, LEASE_NAME, owner)
        self._pending: dict[str, CauseEvidence] = {}
        self._wake_event = asyncio.Event()
        self._refreshed_at: float | None = None
        self._releases: dict[str, str] = {}
        self._releases_at = 0.0

    async def run(self) -> None:
        """Run until cancelled."""
        stop = self._hub.add_listener(self._follow)
        try:
            async with self._lease:
                while True:
                    await self._write_safely()
                    await asyncio.sleep(WRITE_INTERVAL_S)
                    await self._wait_for_failures()
        finally:
            stop()

    async def _wait_for_failures(self) -> None:
        try:
            async with asyncio.timeout(WAKE_INTERVAL_S):
                await self._wake_event.wait()
        except TimeoutError:
            pass
        self._wake_event.clear()

    async def _write_safely(self) -> None:
        if not self._lease.is_held:
            self._pending.clear()
            self._refreshed_at = None
            return
        try:
            await self._write(time.time())
        except StoreError as error:
            log.debug("causes of failures are written later: %s", error)
        except Exception:  # or none would be written any more
            log.exception("causes of failures are written later")

    def _follow(self, entry: LogEntry) -> None:
        """Note the failures of an entry of the log."""
        for change in entry.changes:
            if change.kind != TASK or (cause := find_cause(change)) is None:
                continue
            task = change.task
            if task is not None and self._lease.is_held and _is_counted(task):
                self._collect(cause, task)

    def _collect(self, cause: str, task: TaskView) -> None:
        known = self._pending.get(cause)
        if known is None and len(self._pending) >= MAX_PENDING:
            return
        self._pending[cause] = merge_evidence(known, make_evidence(task))
        self._wake_event.set()

    async def _write(self, now: float) -> None:
        is_refresh_due = self._is_refresh_due()
        if not self._pending and not is_refresh_due:
            return
        await self._read_releases(now)
        minutes = await self._minutes.read_day(now)
        hour, day = (
            sum_causes(minutes, make_window_bins(window, now))
            for window in ("1h", "24h")
        )
        updates = await self._refresh_counts(hour, day) if is_refresh_due else {}
        written = dict(islice(self._pending.items(), MAX_WRITTEN))
        for cause, seen in written.items():
            updates[cause] = make_update(
                seen, hour.get(cause), day.get(cause), self._releases
            )
        await self._store.update_documents(
            KIND, updates, now=now, seconds=MAX_DOCUMENT_TTL_S
        )
        self._drop_written(written)
        if is_refresh_due:
            self._refreshed_at = time.monotonic()

    def _drop_written(self, written: Mapping[str, CauseEvidence]) -> None:
        """Drop what was written, unless more was seen meanwhile."""
        for cause, seen in written.items():
            if self._pending.get(cause) is seen:
                del self._pending[cause]
        if self._pending:
            self._wake_event.set()

    def _is_refresh_due(self) -> bool:
        at = self._refreshed_at
        return at is None or time.monotonic() - at >= REFRESH_INTERVAL_S

    async def _refresh_counts(
        self, hour: Mapping[str, CauseCounts], day: Mapping[str, CauseCounts]
    ) -> dict[str, DocumentUpdate]:
        """Return the updates of all counts, and of causes without a document."""
        known = {one.id for one in await self._store.list_documents(KIND)}
        updates = {
            cause: make_counts_update(hour.get(cause), day.get(cause))
            for cause in known
        }
        missing = [cause for cause in rank_causes(day) if cause not in known]
        for cause in missing[:MAX_LOOKUPS]:
            found = await self._store.list_tasks(Filter(failure=(cause,)), limit=1)
            for task in found.tasks:
                seen = make_evidence(task)
                first = min(to_rfc3339(day[cause].first_at), seen.first_seen)
                seen = replace(seen, first_seen=first)
                updates[cause] = make_update(
                    seen, hour.get(cause), day[cause], self._releases
                )
        return updates

    async def _read_releases(self, now: float) -> None:
        if now - self._releases_at < RELEASES_TTL_S:
            return
        workers = await self._store.list_workers(now=now)
        self._releases = {one.hostname: one.release for one in workers if one.release}
        self._releases_at = now


def _is_counted(task: TaskView) -> bool:
    """Return True if a task ended within the time for which failures are counted."""
    at = task.finished_at or task.updated_at
    return at is not None and from_rfc3339(at) > time.time() - DAY_S
