"""Learns which tasks the workers register, for a catalog that nobody declared."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Final, cast

import anyio
from anyio import to_thread
from celery import Celery

from herald_monitor.consumers import broker_connection, let_go
from herald_monitor.errors import StoreError
from herald_monitor.model.workers import ONLINE
from herald_monitor.questions import Questions
from herald_monitor.store import Reader
from herald_server.catalog import Catalog, TaskType, is_name
from herald_server.repeating import Boot, boot
from herald_server.signatures import CELERYS_OWN

log = logging.getLogger(__name__)

EVERY: Final = 5.0
"""Seconds between two looks at who lives."""

ASK_EVERY: Final = 2.0
"""Seconds between two questions: unknown names must not cause many."""

WITHIN: Final = 1.0
DEADLINE: Final = 6.0
MOST_ASKED: Final = 50


class Registered:
    """Asks workers once what they register, and lets `catalog` learn it."""

    def __init__(self, app: Celery, reader: Reader, catalog: Catalog) -> None:
        self._app = app
        self._reader = reader
        self._catalog = catalog
        self._told: set[Boot] = set()
        self._asked = float("-inf")
        self._one = asyncio.Lock()

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while self._catalog.learns:
            await self.look()
            await asyncio.sleep(EVERY)

    async def look(self, *, anybody: bool = False) -> None:
        """Ask the living workers that were not asked, if the catalog learns.

        `anybody`: where none is known to live, ask whoever hears it.
        """
        if not self._catalog.learns:
            return
        async with self._one:
            try:
                await self._ask_new(anybody)
            except StoreError as error:
                log.debug("the workers are asked for their tasks later: %s", error)

    async def _ask_new(self, anybody: bool) -> None:
        workers = await self._reader.workers(now=time.time())
        living = {boot(one) for one in workers if one.state == ONLINE}
        self._told &= living
        hosts = sorted({host for host, *_ in living - self._told})[:MOST_ASKED]
        nobody = not hosts and not (anybody and not living)
        if nobody or time.monotonic() < self._asked + ASK_EVERY:
            return
        self._asked = time.monotonic()
        answers = await self._ask(hosts)
        self._catalog.learn(kind for names in answers.values() for kind in kinds(names))
        self._told |= {one for one in living if one[0] in answers}

    async def _ask(self, hosts: Sequence[str]) -> dict[str, Sequence[object]]:
        """Return the names that each of `hosts` registers, of those that answer."""
        try:
            with anyio.fail_after(DEADLINE):
                return await to_thread.run_sync(
                    lambda: ask(self._app, hosts), abandon_on_cancel=True
                )
        except Exception as error:  # any broker, any driver
            log.debug("the workers cannot be asked for their tasks: %s", error)
            return {}


def ask(app: Celery, hosts: Sequence[str]) -> dict[str, Sequence[object]]:
    """Return the names that each of `hosts` (none: all) registers, if it answers."""
    connection = broker_connection(app)
    try:
        answers = Questions(app, connection, WITHIN).ask("registered", hosts)
    finally:
        let_go(connection)
    # Processes that share a name answer one by one.
    return {
        host: [name for one in told for name in _listed(one)]
        for host, told in answers.by_host.items()
    }


def _listed(told: object) -> list[object]:
    return cast("list[object]", told) if isinstance(told, list) else []


def kinds(names: Sequence[object]) -> list[TaskType]:
    """Return a task type for each name that a worker told, without Celery's own."""
    return [
        TaskType(name, name, "Registered by a worker", any_params=True, title=name)
        for name in names
        if isinstance(name, str) and is_name(name) and not name.startswith(CELERYS_OWN)
    ]
