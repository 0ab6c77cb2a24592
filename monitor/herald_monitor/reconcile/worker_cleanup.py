"""Deletion of workers that do not come back, once they have no open tasks."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from herald_core.model.filters import Filter
from herald_core.model.tasks.views import STARTED
from herald_core.model.workers.replacement import (
    find_replaced,
    find_silent,
    sort_by_silence,
)
from herald_core.model.workers.worker import WorkerView
from herald_core.settings import MAX_WORKERS
from herald_core.store.ports import Store

log = logging.getLogger(__name__)


MAX_BATCH_WORKERS = 500
"""Workers that are forgotten in one step, so that nothing waits for it for long."""

FULL_RATIO = 0.9
"""Share of the maximum number of workers above which some are deleted early."""

MAX_NAMED_WORKERS = 5


class WorkerCleanup:
    """Deletes workers of `store` that were replaced, or silent for a long time.

    A worker with an event in the last `patience` seconds stays. All others are deleted
    `forget_after` seconds after their last sign of life, or earlier if there are nearly
    as many as `most`.
    """

    def __init__(
        self,
        store: Store,
        patience: float,
        forget_after: float,
        most: int = MAX_WORKERS,
    ) -> None:
        self._store = store
        self._replaced_after_s = patience
        self._forget_after = max(forget_after, patience)
        self._max_workers = int(most * FULL_RATIO)

    async def delete_oldest(
        self, workers: Sequence[WorkerView], now: float
    ) -> list[str]:
        """Delete up to `MAX_BATCH_WORKERS` of `workers` (all stored ones) at `now`.

        Returns their hostnames. Raises `StoreError`.
        """
        leaving = find_replaced(workers, now, self._replaced_after_s)
        over = find_silent(workers, now, self._forget_after)
        must = sorted({one.hostname for one in (*leaving, *over)})
        forgotten = await self._delete_first(must, len(must), now)
        surplus = len(workers) - len(forgotten) - self._max_workers
        if surplus > 0:
            gone = set(forgotten)
            may = find_silent(workers, now, self._replaced_after_s)
            early = [one.hostname for one in sort_by_silence(may)]
            names = [name for name in early if name not in gone]
            forgotten += await self._delete_first(names, surplus, now)
        if forgotten:
            log.info(
                "%d workers that do not come back are forgotten: %s",
                len(forgotten),
                forgotten[:MAX_NAMED_WORKERS],
            )
        return forgotten

    async def _delete_first(
        self, hostnames: Sequence[str], most: int, now: float
    ) -> list[str]:
        """Delete the first `most` idle ones of the next `MAX_BATCH_WORKERS`."""
        forgotten: list[str] = []
        for hostname in hostnames[:MAX_BATCH_WORKERS]:
            if len(forgotten) == most:
                break
            if await self._is_idle(hostname):
                await self._store.delete_worker(hostname, now=now)
                forgotten.append(hostname)
        return forgotten

    async def _is_idle(self, hostname: str) -> bool:
        """Return True if no known task is `STARTED` on the worker."""
        running, page = Filter(state=(STARTED,), worker=(hostname,)), None
        while True:
            found = await self._store.list_tasks(running, limit=1, page=page)
            if found.tasks:
                return False
            page = found.next
            if page is None:
                return True
