"""Workers that do not come back: forgotten once nothing that ran on them is open."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from herald_monitor.model.filters import Filter
from herald_monitor.model.replacement import longest_gone, replaced, unheard
from herald_monitor.model.shape import STARTED
from herald_monitor.model.workers import WorkerImage
from herald_monitor.store import Store
from herald_monitor.worker_limit import MAX_WORKERS

log = logging.getLogger(__name__)


AT_ONCE = 500
"""Workers that are forgotten in one step, so that nothing waits for it for long."""

FULL = 0.9
"""Part of the workers that may be kept from which on some leave early."""

NAMED = 5


class WorkerCleanup:
    """Forgets workers of `store` that were replaced, or not heard for long.

    None is forgotten that was heard within the last `patience` seconds; all others
    are `forget_after` seconds after their last sign of life, or earlier if there are
    nearly as many as `most`.
    """

    def __init__(
        self,
        store: Store,
        patience: float,
        forget_after: float,
        most: int = MAX_WORKERS,
    ) -> None:
        self._store = store
        self._patience = patience
        self._forget_after = max(forget_after, patience)
        self._room_for = int(most * FULL)

    async def forget_gone(self, now: float) -> list[str]:
        """Forget those at `now`; return their hostnames. Raises `StoreError`."""
        return await self.forget(await self._store.workers(now=now), now)

    async def forget(self, workers: Sequence[WorkerImage], now: float) -> list[str]:
        """Forget up to `AT_ONCE` of `workers` (all that are stored) at `now`.

        Returns their hostnames. Raises `StoreError`.
        """
        leaving = replaced(workers, now, self._patience)
        over = unheard(workers, now, self._forget_after)
        must = sorted({one.hostname for one in (*leaving, *over)})
        forgotten = await self._forget(must, len(must), now)
        surplus = len(workers) - len(forgotten) - self._room_for
        if surplus > 0:
            gone = set(forgotten)
            may = unheard(workers, now, self._patience)
            early = [one.hostname for one in longest_gone(may)]
            names = [name for name in early if name not in gone]
            forgotten += await self._forget(names, surplus, now)
        if forgotten:
            log.info(
                "%d workers that do not come back are forgotten: %s",
                len(forgotten),
                forgotten[:NAMED],
            )
        return forgotten

    async def _forget(
        self, hostnames: Sequence[str], most: int, now: float
    ) -> list[str]:
        """Forget the first `most` that run nothing, of the next `AT_ONCE`."""
        forgotten: list[str] = []
        for hostname in hostnames[:AT_ONCE]:
            if len(forgotten) == most:
                break
            if await self._runs_nothing(hostname):
                await self._store.dismiss(hostname, now=now)
                forgotten.append(hostname)
        return forgotten

    async def _runs_nothing(self, hostname: str) -> bool:
        """Say whether no task is `STARTED` on the worker, as far as is known."""
        running, page = Filter(state=(STARTED,), worker=(hostname,)), None
        while True:
            found = await self._store.page(running, limit=1, page=page)
            if found.tasks:
                return False
            page = found.next
            if page is None:
                return True
