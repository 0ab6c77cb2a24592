"""Find out whether tasks were sent whose sender died or broke off.

A rerun has an id that follows from the order and the task, so it is recognised. It was
sent if a worker, the result backend, a queue or the client's own event shows it. It was
not sent if all of these hold: the queues were read completely and do not have it; the
workers report their tasks by events; and of these events none was missed since.
Otherwise it is not known.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from herald_core.errors import HeraldError, StoreError
from herald_core.model.gaps import CLOSED
from herald_core.model.tasks import views
from herald_core.model.tasks.views import TaskView, from_rfc3339
from herald_core.store.ports import Store
from herald_server.control.cancel.task_finder import LocatedTasks, TaskLocator

SETTLE_S: Final = 1.5
"""Seconds in which the event of a worker that took a message is stored."""

SILENT_STATES: Final = (views.UNKNOWN, views.EXPIRED, views.PENDING, views.LOST)
"""States that do not show that a task was sent: Herald registers it before."""


class SendEvidence(msgspec.Struct, frozen=True):
    """Ids of tasks that were certainly sent, and of those that certainly were not."""

    sent: frozenset[str] = frozenset()
    not_sent: frozenset[str] = frozenset()


class EvidenceFinder:
    """Looks for tasks. `is_current` returns True if the monitors are not behind."""

    def __init__(
        self,
        store: Store,
        locator: TaskLocator,
        is_current: Callable[[], bool],
        settle_s: float = SETTLE_S,
    ) -> None:
        self._store = store
        self._locator = locator
        self._is_current = is_current
        self._settle_s = settle_s

    async def find(self, reruns: Mapping[str, TaskView], since: float) -> SendEvidence:
        """Return what is known of `reruns` (new id → the task that it runs again).

        They may have been sent after `since` (unix seconds). Raises `StoreError`.
        """
        # A message that was on its way when its sender ended has arrived by then.
        await asyncio.sleep(self._settle_s)
        sent = await self._find_reported(list(reruns))
        left = [id_ for id_ in reruns if id_ not in sent]
        if not left:
            return SendEvidence(frozenset(sent))
        located = await self._locate(left)
        sent |= located.ids
        # A message that left a queue meanwhile is reported by the worker that has it.
        await asyncio.sleep(self._settle_s)
        left = [id_ for id_ in left if id_ not in sent]
        sent |= await self._find_reported(left)
        if not located.is_complete or not await self._has_all_events(since):
            return SendEvidence(frozenset(sent))
        not_sent = {id_ for id_ in left if is_reported_by_events(reruns[id_])} - sent
        return SendEvidence(frozenset(sent), frozenset(not_sent))

    async def _find_reported(self, ids: Sequence[str]) -> set[str]:
        tasks = await self._store.get_tasks(ids)
        return {task.id for task in tasks if task is not None and is_sent(task)}

    async def _locate(self, ids: Sequence[str]) -> LocatedTasks:
        try:
            located = await self._locator(ids, time.time())
        except StoreError:
            raise
        except HeraldError:
            return LocatedTasks()
        if located.events:
            await self._store.store(located.events, now=time.time())
        return located

    async def _has_all_events(self, since: float) -> bool:
        if not self._is_current():
            return False
        gaps = await self._store.list_gaps()
        return all(
            gap.state == CLOSED or from_rfc3339(gap.until) < since for gap in gaps
        )


def is_sent(task: TaskView) -> bool:
    """Return True if someone else than Herald, which registered it, reported `task`."""
    return task.state not in SILENT_STATES or (
        task.state == views.PENDING and task.source not in ("submitted", "inferred")
    )


def is_reported_by_events(task: TaskView) -> bool:
    """Return True if a worker reported `task` by events: it reports others as well."""
    return task.worker is not None and task.received_at is not None
