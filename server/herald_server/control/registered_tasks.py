"""Learn the tasks that workers register, for a catalog without declared types."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Final, cast

import anyio
from anyio import to_thread
from celery import Celery

from herald_core.errors import StoreError
from herald_core.model.workers.worker import ONLINE
from herald_core.store.ports import TaskReader
from herald_monitor.celery_client.broker.connection import (
    connect_broker,
    drop_connection,
    require_control,
)
from herald_monitor.celery_client.workers.broadcast_query import BroadcastQuery
from herald_server.catalog.catalog import Catalog, TaskType, is_valid_name
from herald_server.catalog.signatures import CELERY_PREFIX
from herald_server.control.worker_changes import Boot, identify_boot

log = logging.getLogger(__name__)

INTERVAL_S: Final = 5.0
"""Seconds between two checks of the living workers."""

ASK_INTERVAL_S: Final = 2.0
"""Seconds between two questions: unknown names must not cause many."""

ANSWER_TIMEOUT_S: Final = 1.0
DEADLINE_S: Final = 6.0
MAX_WORKERS_ASKED: Final = 50


class CatalogLearner:
    """Queries each worker once for its registered tasks and adds them to `catalog`."""

    def __init__(self, app: Celery, reader: TaskReader, catalog: Catalog) -> None:
        self._app = app
        self._reader = reader
        self._catalog = catalog
        self._answered: set[Boot] = set()
        self._asked = float("-inf")
        self._shared_read = asyncio.Lock()

    async def run(self) -> None:
        """Query periodically until cancelled."""
        while self._catalog.is_learning:
            await self.ask_new_workers()
            await asyncio.sleep(INTERVAL_S)

    async def ask_new_workers(self, *, anybody: bool = False) -> None:
        """Query live workers that have not answered yet, if the catalog needs it.

        `anybody`: if no worker is known to be alive, query all.
        """
        if not self._catalog.is_learning:
            return
        async with self._shared_read:
            try:
                await self._ask_new(anybody)
            except StoreError as error:
                log.debug("the workers are asked for their tasks later: %s", error)

    async def _ask_new(self, anybody: bool) -> None:
        workers = await self._reader.list_workers(now=time.time())
        living = {identify_boot(one) for one in workers if one.state == ONLINE}
        self._answered &= living
        hosts = sorted({host for host, *_ in living - self._answered})[
            :MAX_WORKERS_ASKED
        ]
        nobody = not hosts and not (anybody and not living)
        if nobody or time.monotonic() < self._asked + ASK_INTERVAL_S:
            return
        self._asked = time.monotonic()
        answers = await self._ask(hosts)
        self._catalog.add_registered(
            kind for names in answers.values() for kind in make_types(names)
        )
        self._answered |= {one for one in living if one[0] in answers}

    async def _ask(self, hosts: Sequence[str]) -> dict[str, Sequence[object]]:
        """Return the registered names of each of `hosts` that answers."""
        try:
            with anyio.fail_after(DEADLINE_S):
                return await to_thread.run_sync(
                    lambda: ask_registered(self._app, hosts), abandon_on_cancel=True
                )
        except Exception as error:  # any broker, any driver
            log.debug("the workers cannot be asked for their tasks: %s", error)
            return {}


def ask_registered(app: Celery, hosts: Sequence[str]) -> dict[str, Sequence[object]]:
    """Return the registered names of each of `hosts` (none: all) that answers."""
    require_control(app)
    connection = connect_broker(app)
    try:
        answers = BroadcastQuery(app, connection, ANSWER_TIMEOUT_S).send(
            "registered", hosts
        )
    finally:
        drop_connection(connection)
    # Workers that share a name answer one by one.
    return {
        host: [name for one in answer for name in _to_names(one)]
        for host, answer in answers.by_host.items()
    }


def _to_names(answer: object) -> list[object]:
    return cast("list[object]", answer) if isinstance(answer, list) else []


def make_types(names: Sequence[object]) -> list[TaskType]:
    """Return a task type for each registered name, without Celery's own."""
    return [
        TaskType(name, name, "Registered by a worker", any_params=True, title=name)
        for name in names
        if isinstance(name, str)
        and is_valid_name(name)
        and not name.startswith(CELERY_PREFIX)
    ]
