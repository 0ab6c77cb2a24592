"""Gathers what `stuck.why` decides about: from the store, the workers, the queues."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import anyio
from anyio import to_thread
from celery import Celery

from herald_monitor.broker_queues import BrokerQueues
from herald_monitor.errors import HeraldError
from herald_monitor.inspected import replies
from herald_monitor.inspected_queues import read_consumed
from herald_monitor.model.shape import EXPIRED, STARTED, UNKNOWN, TaskImage
from herald_monitor.model.workers import LIVING, WorkerImage
from herald_monitor.project_options import project_options
from herald_monitor.refusals import refusal_of
from herald_monitor.store import Store
from herald_server import caller
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

WITHIN = 1.0
"""Seconds that workers have for each of four questions."""

DEADLINE = 5.0
"""Seconds after which they are given up together."""

LOOK_WITHIN = 3.0
"""Seconds that a look into the queues may take."""

HOLDING = ("active", "reserved", "scheduled")
"""How a worker may have a task; "ready" is what it has done."""

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
        """Return what was looked at, and why. Raises `StoreError`."""
        task = await self._store.task(task_id)
        now = time.time()
        narrow = caller.only() is not None
        if narrow and task.state in (UNKNOWN, EXPIRED):
            # A task that is hidden is not asked about either.
            facts = Facts(task, now, narrow=True)
            return facts, why(facts)
        workers = tuple(await whole(self._store).workers(now=now))
        members = await self._members(task)
        control = self._control
        before = members.get(task.parent_id or "")
        asked = await self._ask(task, _to_ask(workers))
        facts = Facts(
            task=task,
            now=now,
            workers=workers,
            asked=asked,
            cancel_at=await control.cancels.requested_at(task_id) if control else None,
            blocked_by=broken(task, members),
            waits_for=before if before and not before.final else None,
            measured=await self._durations.of(task.name),
            queues=tuple(await whole(self._store).queues()),
            unseen=project_options(control.app).problem if control else "",
            message=await self._look(task, asked),
            narrow=narrow,
            default_queue=_default_queue(control.app) if control else DEFAULT_QUEUE,
        )
        return facts, why(facts)

    async def _members(self, task: TaskImage) -> dict[str, TaskImage]:
        if not task.group_id:
            return {}
        members = await newest_members(self._store, task.group_id, MOST)
        return {one.id: one for one in members}

    async def _ask(self, task: TaskImage, hosts: Sequence[str]) -> Asked:
        if self._control is None or not hosts or task.final or task.state == EXPIRED:
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


def _to_ask(workers: Sequence[WorkerImage]) -> list[str]:
    """Return the workers that are asked: those that live."""
    return [one.hostname for one in workers if one.state in LIVING][:MOST_ASKED]


def ask(app: Celery, task: TaskImage, hosts: Sequence[str]) -> Asked:
    """Ask workers what they consume, know, have revoked and hold."""
    task_id, key = task.id, task.routing_key
    inspect = cast(Any, app).control.inspect(destination=list(hosts), timeout=WITHIN)
    consumed = {
        host: read_consumed(said) for host, said in _told(inspect.active_queues).items()
    }
    revoked = _told(inspect.revoked)
    known = _told(lambda: inspect.registered("rate_limit"))
    held = _told(lambda: inspect.query_task(task_id))
    return Asked(
        answered=frozenset(consumed),
        queues={h: frozenset(q.name for q in told) for h, told in consumed.items()},
        takers=frozenset(
            host
            for host, told in consumed.items()
            if key and any(queue.takes(key) for queue in told)
        ),
        revoked=frozenset(h for h, said in revoked.items() if task_id in _texts(said)),
        known={host: rates(_texts(said)) for host, said in known.items()},
        held={h: how for h, said in held.items() if (how := held_as(said)) in HOLDING},
        searched=frozenset(held),
    )


def _told(question: Callable[[], object]) -> dict[str, object]:
    return dict(replies(question() or {}))


def _texts(said: object) -> list[str]:
    if not isinstance(said, list):
        return []
    return [one for one in cast("list[object]", said) if isinstance(one, str)]


def rates(told: Sequence[str]) -> dict[str, str]:
    """Return name → rate limit of `name [rate_limit=10/m]`, as workers tell them."""
    found: dict[str, str] = {}
    for one in told:
        name, _, more = one.partition(" [")
        rate = more.partition("rate_limit=")[2].rstrip("]").partition(" ")[0]
        found[name] = "" if rate in ("None", "0") else rate
    return found


def held_as(said: object) -> str:
    """Return how a worker holds the task, by its answer to `query_task`."""
    if not isinstance(said, Mapping):
        return ""
    for told in cast("Mapping[str, object]", said).values():
        if isinstance(told, list | tuple) and told:
            return str(cast("Sequence[object]", told)[0])[:40]
    return ""


def _default_queue(app: Celery) -> str:
    return str(cast(Any, app).conf.task_default_queue)
