"""The search for results of tasks that were never heard of, after a gap.

It goes through all results of the backend, in pages with pauses, beside everything else
that the reconciler does. A monitor that takes over begins it anew.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from contextlib import aclosing
from typing import Protocol

from herald_core.errors import HeraldError
from herald_core.system.cancellation import cancel_tasks
from herald_monitor.celery_client.backend.result_pages import ResultPage

log = logging.getLogger(__name__)

MAX_SHARE = 0.5
"""Share of the time that the search may take; in the rest it pauses."""


class ResultSource(Protocol):
    """All stored results, and the storing of those of unknown tasks."""

    def scan_results(self, since: float) -> AsyncGenerator[ResultPage]: ...

    async def import_unknown(self, ids: Sequence[str], since: float) -> int: ...


class ResultSearch:
    """Searches the results of `source` for unknown tasks; `ended` is called at its end.

    `searched` of about `total` results were gone through, and `found` tasks stored.
    `gaps` are the ids of those that it is for. `problem` is why it ended early.
    """

    def __init__(self, source: ResultSource, ended: Callable[[], None]) -> None:
        self.gaps: frozenset[str] = frozenset()
        self.searched = 0
        self.total = 0
        self.found = 0
        self.problem = ""
        self.is_complete = False
        """True once all results were gone through, for `gaps`."""
        self._source = source
        self._on_ended = ended
        self._running: asyncio.Task[None] | None = None

    @property
    def is_running(self) -> bool:
        """True from `start` until its end."""
        return self._running is not None and not self._running.done()

    def start(self, gaps: Collection[str], since: float) -> None:
        """Search for tasks that ended since a time (unix seconds)."""
        assert not self.is_running, "one search at a time"
        self.gaps, self.problem, self.is_complete = frozenset(gaps), "", False
        self.searched = self.total = self.found = 0
        self._running = asyncio.create_task(self._run(since))

    async def stop(self) -> None:
        """Break the search off, and forget it."""
        running, self._running, self.is_complete = self._running, None, False
        if running is not None:
            await cancel_tasks(running)

    async def _run(self, since: float) -> None:
        try:
            async with aclosing(self._source.scan_results(since)) as pages:
                async for page in pages:
                    begun = time.monotonic()
                    self.found += await self._source.import_unknown(page.ids, since)
                    self.searched, self.total = page.done, page.total
                    spent = time.monotonic() - begun
                    await asyncio.sleep(spent * (1 / MAX_SHARE - 1))
            self.is_complete = True
        except HeraldError as error:
            self.problem = str(error)
        except Exception as error:  # whatever is wrong with one, the next may do
            log.exception("The search for results stumbled; it begins anew")
            self.problem = f"the search for results failed: {error}"
        finally:
            self._on_ended()
