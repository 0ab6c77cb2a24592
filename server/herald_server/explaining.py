"""Gathers what `stuck.why` decides about: from the store, the workers, the queues."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any, cast

import anyio
import msgspec
from anyio import to_thread
from celery import Celery

from herald_monitor.broker_queues import BrokerQueues
from herald_monitor.errors import HeraldError
from herald_monitor.model.shape import EXPIRED, STARTED, UNKNOWN, TaskImage
from herald_monitor.model.workers import LIVING, WorkerImage
from herald_monitor.project_options import project_options
from herald_monitor.refusals import refusal_of
from herald_monitor.store import Gap, Store
from herald_server import caller
from herald_server.asking_workers import ask
from herald_server.control import Control
from herald_server.durations import Durations
from herald_server.group_reader import newest_members
from herald_server.grouping import MOST, broken
from herald_server.seen import whole
from herald_server.stuck import Why, why
from herald_server.stuck_facts import (
    DEFAULT_QUEUE,
    GIVEN_OUT,
    NOWHERE,
    QUEUED,
    Asked,
    Facts,
)

log = logging.getLogger(__name__)

LOOKS = 3
"""How often a task is looked at that moves on meanwhile."""

DEADLINE = 5.0
"""Seconds after which they are given up together."""

LOOK_WITHIN = 3.0
"""Seconds that a look into the queues may take."""

MOST_ASKED = 50
"""Workers that are asked; each answers four questions."""


class Explaining:
    """Says why a task does not get on."""

    def __init__(
        self, store: Store, control: Control | None, durations: Durations
    ) -> None:
        self._store = store
        self._control = control
        self._durations = durations
        self._broker = BrokerQueues(control.app) if control else None

    async def __call__(self, task_id: str) -> tuple[Facts, Why]:
        """Return what was looked at, and why. Raises `StoreError`.

        Answers take seconds, in which a task may move on: what moved is looked at
        anew. What was found nowhere may have been on its way, from a queue to a worker.
        """
        task, nowhere = await self._store.task(task_id), False
        facts = Facts(task, time.time())
        for _ in range(LOOKS):
            facts = await self._gather(task)
            task = await self._store.task(task_id)
            sure = nowhere or facts.message != NOWHERE
            if sure and _is_where_it_was(task, facts.task):
                return facts, why(facts)
            nowhere = facts.message == NOWHERE
        facts = msgspec.structs.replace(
            facts, task=task, asked=_without_task(facts.asked), message=""
        )
        return facts, why(facts)

    async def _gather(self, task: TaskImage) -> Facts:
        """Return what is known of `task`, and of what is around it."""
        now = time.time()
        narrow = caller.only() is not None
        if narrow and task.state in (UNKNOWN, EXPIRED):
            # A task that is hidden is not asked about either.
            return Facts(task, now, narrow=True)
        workers = tuple(await whole(self._store).workers(now=now))
        members = await self._members(task)
        control = self._control
        before = members.get(task.parent_id or "")
        asked = await self._ask(task, _to_ask(task, workers))
        return Facts(
            task=task,
            now=now,
            workers=workers,
            asked=asked,
            cancel_at=await control.cancels.requested_at(task.id) if control else None,
            blocked_by=broken(task, members),
            waits_for=before if before and not before.final else None,
            measured=await self._durations.of(task.name),
            queues=tuple(await whole(self._store).queues()),
            unseen=project_options(control.app).problem if control else "",
            message=await self._look(task, asked),
            narrow=narrow,
            gaps=await self._missed(task),
            default_queue=_default_queue(control.app) if control else DEFAULT_QUEUE,
        )

    async def _members(self, task: TaskImage) -> dict[str, TaskImage]:
        if not task.group_id:
            return {}
        members = await newest_members(self._store, task.group_id, MOST)
        return {one.id: one for one in members}

    async def _missed(self, task: TaskImage) -> tuple[Gap, ...]:
        if task.state != UNKNOWN:
            return ()
        return tuple(await whole(self._store).gaps())

    async def _ask(self, task: TaskImage, hosts: Sequence[str]) -> Asked:
        if self._control is None or task.final or task.state == EXPIRED:
            return Asked()
        app = self._control.app
        try:
            with anyio.fail_after(DEADLINE):
                return await to_thread.run_sync(
                    lambda: ask(app, task, hosts), abandon_on_cancel=True
                )
        except Exception as error:  # any broker, any driver
            silence = f"no answer in {DEADLINE:.0f} s"
            return Asked(trouble=refusal_of(error, "HERALD_BROKER_URL", silence).why)

    async def _look(self, task: TaskImage, asked: Asked) -> str:
        """Return where the task's message is, by a look into the broker's queues."""
        if self._broker is None or task.final or task.state == EXPIRED:
            return ""
        if asked.held or (task.state == STARTED and task.worker in asked.searched):
            return ""
        names = {name for queues in asked.queues.values() for name in queues}
        names |= {task.queue} if task.queue else set()
        try:
            found = await self._broker.look([task.id], sorted(names), LOOK_WITHIN)
        except HeraldError as error:
            log.debug("the queues are not looked through: %s", error)
            return ""
        if task.id in found.queued:
            return QUEUED
        if task.id in found.unacked:
            return GIVEN_OUT
        return NOWHERE if found.known and asked.answered else ""


def _to_ask(task: TaskImage, workers: Sequence[WorkerImage]) -> list[str]:
    """Return the workers that are asked: those that live, and the task's own.

    If none is known to live, all are asked: some may not have been heard of.
    """
    living = [one.hostname for one in workers if one.state in LIVING]
    if not living:
        return []
    return list(dict.fromkeys([*filter(None, [task.worker]), *living]))[:MOST_ASKED]


def _without_task(asked: Asked) -> Asked:
    """Return answers without what they say of the task itself."""
    nobody = frozenset[str]()
    return msgspec.structs.replace(asked, held={}, searched=nobody, revoked=nobody)


def _is_where_it_was(now: TaskImage, before: TaskImage) -> bool:
    said = (before.state, before.attempt, before.worker)
    return said == (now.state, now.attempt, now.worker)


def _default_queue(app: Celery) -> str:
    return str(cast(Any, app).conf.task_default_queue)
