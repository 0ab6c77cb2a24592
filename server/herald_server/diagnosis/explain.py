"""Collect the facts for `stuck.why`: from the store, the workers and the queues."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from functools import partial
from typing import Any, cast

import anyio
import msgspec
from anyio import to_thread

from herald_core.errors import HeraldError, UnsupportedByBroker
from herald_core.model.gaps import Gap
from herald_core.model.tasks.views import EXPIRED, STARTED, UNKNOWN, TaskView
from herald_core.model.workers.worker import LIVING_STATES, WorkerView
from herald_core.store.ports import Store
from herald_core.system.error_sentences import find_cause
from herald_monitor.celery_client.app.project_options import get_project_options
from herald_monitor.celery_client.queues.lookup import QueueLookup
from herald_server.auth import request_context
from herald_server.auth.scoped_store import get_unscoped
from herald_server.control.control import Control
from herald_server.diagnosis.facts import (
    DEFAULT_QUEUE,
    HANDED_OUT,
    IN_QUEUE,
    NOWHERE,
    Diagnosis,
    TaskFacts,
    WorkerQueryResult,
)
from herald_server.diagnosis.rules import diagnose
from herald_server.diagnosis.worker_query import ask_workers
from herald_server.insight.groups.members import MAX_MEMBERS, find_broken_link
from herald_server.insight.groups.reader import read_newest_members
from herald_server.insight.stats.durations import RuntimeEstimator

log = logging.getLogger(__name__)

MAX_LOOKUPS = 3
"""How often a task is looked at that moves on meanwhile."""

DEADLINE_S = 5.0
"""Seconds after which all queries are abandoned."""

LOOKUP_TIMEOUT_S = 3.0
"""Seconds in which the queues must be searched."""

MAX_WORKERS_ASKED = 50
"""Maximum number of queried workers; each answers four queries."""


class TaskDiagnoser:
    """Explains why a task makes no progress."""

    def __init__(
        self, store: Store, control: Control | None, durations: RuntimeEstimator
    ) -> None:
        self._store = store
        self._control = control
        self._durations = durations
        self._broker = QueueLookup(control.app) if control else None

    async def __call__(self, task_id: str) -> tuple[TaskFacts, Diagnosis]:
        """Return the facts and the diagnosis. Raises `StoreError`.

        Queries take seconds, in which a task may change; then they are repeated. A
        message that was found nowhere may have been between a queue and a worker.
        """
        task, nowhere = await self._store.get_task(task_id), False
        facts = TaskFacts(task, time.time())
        for _ in range(MAX_LOOKUPS):
            facts = await self._gather(task)
            task = await self._store.get_task(task_id)
            sure = nowhere or facts.message != NOWHERE
            if sure and _is_unchanged(task, facts.task):
                return facts, diagnose(facts)
            nowhere = facts.message == NOWHERE
        facts = msgspec.structs.replace(
            facts, task=task, answers=_remove_task(facts.answers), message=""
        )
        return facts, diagnose(facts)

    async def _gather(self, task: TaskView) -> TaskFacts:
        """Return the facts about `task` and its surroundings."""
        now = time.time()
        narrow = request_context.get_task_filter() is not None
        if narrow and task.state in (UNKNOWN, EXPIRED):
            # No worker is queried about a hidden task.
            return TaskFacts(task, now, narrow=True)
        workers = tuple(await get_unscoped(self._store).list_workers(now=now))
        members = await self._read_members(task)
        control = self._control
        before = members.get(task.parent_id or "")
        answers = await self._ask_workers(task, _choose_workers(task, workers))
        return TaskFacts(
            task=task,
            now=now,
            workers=workers,
            answers=answers,
            cancel_at=await self._read_cancel_time(task.id),
            blocked_by=find_broken_link(task, members),
            waits_for=before if before and not before.final else None,
            measured=await self._durations.measure_name(task.name),
            queues=tuple(await get_unscoped(self._store).list_queues()),
            lookup_problem=get_project_options(control.app).problem if control else "",
            message=await self._inspect_queue(task, answers),
            narrow=narrow,
            gaps=await self._find_gaps(task),
            default_queue=_find_default_queue(control),
        )

    async def _read_cancel_time(self, task_id: str) -> str | None:
        if self._control is None:
            return None
        return await self._control.canceller.get_request_time(task_id)

    async def _read_members(self, task: TaskView) -> dict[str, TaskView]:
        if not task.group_id:
            return {}
        members = await read_newest_members(self._store, task.group_id, MAX_MEMBERS)
        return {one.id: one for one in members}

    async def _find_gaps(self, task: TaskView) -> tuple[Gap, ...]:
        if task.state != UNKNOWN:
            return ()
        return tuple(await get_unscoped(self._store).list_gaps())

    async def _ask_workers(
        self, task: TaskView, hosts: Sequence[str]
    ) -> WorkerQueryResult:
        if self._control is None or task.final or task.state == EXPIRED:
            return WorkerQueryResult()
        query = partial(ask_workers, self._control.app, task, hosts)
        try:
            with anyio.fail_after(DEADLINE_S):
                return await to_thread.run_sync(query, abandon_on_cancel=True)
        except UnsupportedByBroker as error:
            return WorkerQueryResult(problem=str(error), can_be_asked=False)
        except Exception as error:  # any broker, any driver
            silence = f"no answer in {DEADLINE_S:.0f} s"
            cause = find_cause(error, "HERALD_BROKER_URL", silence)
            return WorkerQueryResult(problem=cause.reason)

    async def _inspect_queue(self, task: TaskView, answers: WorkerQueryResult) -> str:
        """Return where the task's message is, from the broker's queues."""
        if self._broker is None or task.final or task.state == EXPIRED:
            return ""
        if answers.held or (task.state == STARTED and task.worker in answers.searched):
            return ""
        names = {name for queues in answers.queues.values() for name in queues}
        names |= {task.queue} if task.queue else set()
        try:
            found = await self._broker.find([task.id], sorted(names), LOOKUP_TIMEOUT_S)
        except HeraldError as error:
            log.debug("the queues are not looked through: %s", error)
            return ""
        if task.id in found.queued:
            return IN_QUEUE
        if task.id in found.unacked:
            return HANDED_OUT
        return NOWHERE if found.is_complete and answers.answered else ""


def _choose_workers(task: TaskView, workers: Sequence[WorkerView]) -> list[str]:
    """Return the workers to query: those that are alive, and the task's own.

    If none is known to be alive, all are queried: some may be unknown.
    """
    living = [one.hostname for one in workers if one.state in LIVING_STATES]
    if not living:
        return []
    return list(dict.fromkeys([*filter(None, [task.worker]), *living]))[
        :MAX_WORKERS_ASKED
    ]


def _remove_task(answers: WorkerQueryResult) -> WorkerQueryResult:
    """Return the answers without what they contain about the task itself."""
    none = frozenset[str]()
    return msgspec.structs.replace(answers, held={}, searched=none, revoked=none)


def _is_unchanged(now: TaskView, before: TaskView) -> bool:
    former = (before.state, before.attempt, before.worker)
    return former == (now.state, now.attempt, now.worker)


def _find_default_queue(control: Control | None) -> str:
    if control is None:
        return DEFAULT_QUEUE
    return str(cast(Any, control.app).conf.task_default_queue)
