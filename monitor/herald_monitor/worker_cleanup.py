"""Workers that do not come back: forgotten once nothing that ran on them is open."""

from __future__ import annotations

import logging

from herald_monitor.model.filters import Filter
from herald_monitor.model.replacement import replaced, unheard
from herald_monitor.model.shape import STARTED
from herald_monitor.store import Store

log = logging.getLogger(__name__)


class WorkerCleanup:
    """Forgets workers of `store` that were replaced, or not heard for long.

    None is forgotten that was heard within the last `patience` seconds; all others
    are `forget_after` seconds after their last sign of life.
    """

    def __init__(self, store: Store, patience: float, forget_after: float) -> None:
        self._store = store
        self._patience = patience
        self._forget_after = max(forget_after, patience)

    async def forget_gone(self, now: float) -> list[str]:
        """Forget those at `now`; return their hostnames. Raises `StoreError`."""
        workers = await self._store.workers(now=now)
        forgotten: list[str] = []
        leaving = replaced(workers, now, self._patience)
        over = unheard(workers, now, self._forget_after)
        for hostname in sorted({one.hostname for one in (*leaving, *over)}):
            if await self._runs_nothing(hostname):
                await self._store.dismiss(hostname, now=now)
                forgotten.append(hostname)
        if forgotten:
            log.info("Workers that do not come back are forgotten: %s", forgotten)
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
