"""Cancel tasks and report what happened, not what was requested.

A cancel is stored before it is sent, and kept until an event of a worker ends the task.
Celery's workers keep revoked ids in memory only, so it is sent again to a worker that
joins later. Nothing is sent for an unknown id: workers would store REVOKED for it
(celery/worker/control.py: `_revoke`).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from herald_core.errors import StoreError
from herald_core.model.codec import to_json
from herald_core.model.events.event import Event
from herald_core.model.tasks import views
from herald_core.model.tasks.views import TaskView, to_rfc3339
from herald_core.model.workers.worker import LIVING_STATES, WorkerView
from herald_core.store.ports import Store
from herald_server.control.cancel.outcomes import (
    MISSING_STATES,
    CancelResult,
    RevokeAnswers,
    decide_outcome,
    parse_revoke_answers,
)
from herald_server.control.cancel.task_finder import LocatedTasks, TaskLocator
from herald_server.control.cancel.worker_mailbox import WorkerMailbox
from herald_server.control.start.publisher import BrokerUnreachable
from herald_server.push.log.hub import Hub
from herald_server.push.session.follow import follow_tasks

__all__ = ["CancelResult", "Canceller"]

log = logging.getLogger(__name__)

KEY_KIND = "cancel"

CONFIRM_TIMEOUT_S = 2.0
"""Seconds to wait for a worker's word after a cancel was sent."""

ANSWER_TIMEOUT_S = 1.0
"""Seconds in which workers acknowledge a cancel."""

RETENTION_S = 7 * 86_400.0
"""Seconds for which a cancel is repeated to workers that join."""


class PendingCancel(msgspec.Struct, frozen=True):
    """A pending cancel. `sent`: it was sent to the workers of that time."""

    at: str
    sent: bool = True


class Canceller:
    """Sends cancels and stores them until they are done."""

    def __init__(
        self, mailbox: WorkerMailbox, store: Store, hub: Hub, finding: TaskLocator
    ) -> None:
        self._mailbox = mailbox
        self._store = store
        self._hub = hub
        self._locator = finding

    async def cancel(self, ids: Sequence[str]) -> list[CancelResult]:
        """Cancel tasks and return the result of each, in the same order.

        Waits up to `ANSWER_TIMEOUT_S` and `CONFIRM_TIMEOUT_S` seconds for workers.
        Raises `StoreError`, `UnsupportedByBroker`, and `BrokerUnreachable` if an
        unknown id cannot be looked up.
        """
        before = {id_: await self._store.get_task(id_) for id_ in ids}
        missing = [id_ for id_, task in before.items() if task.state in MISSING_STATES]
        if missing:
            before |= await self._find_elsewhere(missing)
        wanted = [
            id_
            for id_, task in before.items()
            if not task.final and task.state not in MISSING_STATES
        ]
        answers, after = RevokeAnswers(), dict[str, TaskView]()
        if wanted:
            # Nothing is stored that could never be sent.
            self._mailbox.require_control()
            answers = await self._send_cancels(wanted, before)
            after = await self._wait_for_ends(
                wanted, 0.0 if answers.unsent else CONFIRM_TIMEOUT_S
            )
            await self._drop(after.values())
        return [decide_outcome(before[id_], after.get(id_), answers) for id_ in ids]

    async def _find_elsewhere(self, ids: Sequence[str]) -> dict[str, TaskView]:
        """Return those of `ids` that the backend, a worker or a queue
        knows, as tasks."""
        now = time.time()
        found = await self._locator(ids, now)
        if found.events:
            await self._store.store(found.events, now=now)
        return {id_: await self._to_task(id_, found) for id_ in found.ids}

    async def _to_task(self, id_: str, found: LocatedTasks) -> TaskView:
        task = await self._store.get_task(id_)
        if task.state in MISSING_STATES:
            return TaskView(id=id_, state=views.PENDING)
        return task

    async def _send_cancels(
        self, ids: Sequence[str], before: Mapping[str, TaskView]
    ) -> RevokeAnswers:
        """Store and send cancels; return the replies of workers."""
        at = to_rfc3339(time.time())
        for id_ in ids:
            await self._store_pending(id_, PendingCancel(at))
        workers = {one.hostname: one for one in await self._list_living_workers()}
        try:
            answers = await self.send_revoke(ids, list(workers))
        except BrokerUnreachable as error:
            for id_ in ids:
                await self._store_pending(id_, PendingCancel(at, sent=False))
            return RevokeAnswers(unsent=str(error))
        parsed = parse_revoke_answers(answers, ids)
        waited = {
            i: h for i, h in parsed.confirmed.items() if not _is_running(before[i])
        }
        await self._store_confirmed(waited, workers)
        return parsed

    async def _store_confirmed(
        self, confirmed: Mapping[str, str], workers: Mapping[str, WorkerView]
    ) -> None:
        """Store that workers discard tasks which they hold unstarted;
        see `is_confirmed`."""
        now = time.time()
        pids = {host: one.pid or 0 for host, one in workers.items()}
        events = [
            Event(
                kind="revoked",
                task_id=id_,
                at=now,
                source="inspect",
                host=host,
                pid=pids.get(host, 0),
            )
            for id_, host in confirmed.items()
        ]
        if events:
            await self._store.store(events, now=now)

    async def _store_pending(self, id_: str, kept: PendingCancel) -> None:
        await self._store.put_item(KEY_KIND, id_, to_json(kept), RETENTION_S)

    async def _drop(self, tasks: Iterable[TaskView]) -> None:
        for task in tasks:
            if is_cancel_done(task):
                await self._store.delete_item(KEY_KIND, task.id)

    async def get_request_time(self, task_id: str) -> str | None:
        """Return when a pending cancel was requested (RFC 3339); None
        if there is none."""
        note = await self._store.get_item(KEY_KIND, task_id)
        return (
            None if note is None else msgspec.json.decode(note, type=PendingCancel).at
        )

    async def _list_living_workers(self) -> list[WorkerView]:
        workers = await self._store.list_workers(now=time.time())
        return [one for one in workers if one.state in LIVING_STATES]

    async def send_revoke(
        self, ids: Sequence[str], hosts: Sequence[str], *, only: bool = False
    ) -> dict[str, object]:
        """Send a revoke to all workers (or `only` to `hosts`); return the replies.

        Raises `BrokerUnreachable`.
        """
        arguments: dict[str, object] = {
            "task_id": list(ids),
            "terminate": True,
            "signal": "SIGTERM",
        }
        return await self._mailbox.call(
            "revoke", arguments, ANSWER_TIMEOUT_S, hosts=hosts, only=only
        )

    async def _wait_for_ends(
        self, ids: Sequence[str], timeout_s: float
    ) -> dict[str, TaskView]:
        """Return the tasks once all have ended, or as they are after
        `timeout_s`."""
        async with follow_tasks(self._hub, self._store, *ids) as follower:
            tasks = {task.id: task for task in await follower.read()}
            try:
                async with asyncio.timeout(timeout_s):
                    while not all(id_ in tasks and tasks[id_].final for id_ in ids):
                        for task in await follower.wait_for_changes():
                            tasks[task.id] = task
            except TimeoutError:
                pass
        return tasks

    # -- unfinished tasks ----------------------------------------------------------

    async def resend(self, hosts: Iterable[str]) -> set[str]:
        """Send all pending cancels to `hosts`; return the hosts that replied.

        Deletes those whose task has ended. Returns all `hosts` if none is pending.
        """
        hosts = set(hosts)
        open_ = await self._load_pending()
        if not open_ or not hosts:
            return hosts
        try:
            answered = set(
                await self.send_revoke(list(open_), sorted(hosts), only=True)
            )
        except BrokerUnreachable as error:
            log.warning("Cancels are not repeated yet: %s", error)
            return set()
        if answered:
            log.info("%d cancels repeated to %d workers", len(open_), len(answered))
            for id_, kept in open_.items():
                if not kept.sent:
                    await self._store_pending(id_, PendingCancel(kept.at))
        return answered

    async def _load_pending(self) -> dict[str, PendingCancel]:
        """Return the pending cancels; delete those that are done."""
        notes = await self._store.get_items(KEY_KIND)
        tasks = await self._store.get_tasks(list(notes))
        done = {task.id for task in tasks if task is not None and is_cancel_done(task)}
        for id_ in done:
            await self._store.delete_item(KEY_KIND, id_)
        return {
            id_: msgspec.json.decode(note, type=PendingCancel)
            for id_, note in notes.items()
            if id_ not in done
        }

    async def list_pending(self) -> list[PendingCancel]:
        """Return the pending cancels; empty if the store does not respond."""
        try:
            notes = await self._store.get_items(KEY_KIND)
        except StoreError:
            return []
        return [
            msgspec.json.decode(note, type=PendingCancel) for note in notes.values()
        ]


def is_cancel_done(task: TaskView) -> bool:
    """Return True if no worker can run the task any more.

    A worker stores REVOKED as soon as it receives a cancel, while the message still
    waits in a queue: a worker that joins later would run it.
    """
    return task.final and (task.state != views.REVOKED or task.source == "event")


def _is_running(task: TaskView) -> bool:
    return task.state == views.STARTED
