"""Cancelling tasks, and saying what came of it rather than what was asked.

A cancel is noted before it is sent and kept until a worker's own word ends the task:
Celery's workers keep revoked ids in memory only, so one that joins later is told
again. Nothing is sent for an id of which nobody knows: workers would store REVOKED
for it (celery/worker/control.py: `_revoke`).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from herald_monitor.errors import StoreError
from herald_monitor.model import shape
from herald_monitor.model.codec import to_json
from herald_monitor.model.events import Event
from herald_monitor.model.shape import TaskImage, rfc3339
from herald_monitor.model.workers import LIVING, WorkerImage
from herald_monitor.store import Store
from herald_server.cancel_outcomes import (
    MISSING,
    Cancelled,
    Told,
    outcome_of,
    read_told,
)
from herald_server.finding import Finding, Found
from herald_server.following import following
from herald_server.hub import Hub
from herald_server.sending import BrokerUnreachable
from herald_server.worker_mailbox import WorkerMailbox

__all__ = ["Cancelled", "Cancels"]

log = logging.getLogger(__name__)

KIND = "cancel"

CONFIRM_WITHIN = 2.0
"""Seconds to wait for a worker's word after a cancel was sent."""

ANSWER_WITHIN = 1.0
"""Seconds in which workers say that they have taken note."""

KEPT = 7 * 86_400.0
"""Seconds for which a cancel is repeated to workers that join."""


class Kept(msgspec.Struct, frozen=True):
    """A cancel that is not done. `sent`: the workers of its time were told."""

    at: str
    sent: bool = True


class Cancels:
    """Sends cancels, and keeps those that are not done."""

    def __init__(
        self, mailbox: WorkerMailbox, store: Store, hub: Hub, finding: Finding
    ) -> None:
        self._mailbox = mailbox
        self._store = store
        self._hub = hub
        self._finding = finding

    async def cancel(self, ids: Sequence[str]) -> list[Cancelled]:
        """Cancel tasks and say of each what came of it, in the same order.

        Waits up to `ANSWER_WITHIN` and `CONFIRM_WITHIN` seconds for workers. Raises
        `StoreError`, and `BrokerUnreachable` if an unknown id cannot be looked for.
        """
        before = {id_: await self._store.task(id_) for id_ in ids}
        missing = [id_ for id_, task in before.items() if task.state in MISSING]
        if missing:
            before |= await self._found(missing)
        wanted = [
            id_
            for id_, task in before.items()
            if not task.final and task.state not in MISSING
        ]
        told, after = Told(), dict[str, TaskImage]()
        if wanted:
            told = await self._order(wanted, before)
            after = await self._ended(wanted, 0.0 if told.unsent else CONFIRM_WITHIN)
            await self._drop(after.values())
        return [outcome_of(before[id_], after.get(id_), told) for id_ in ids]

    async def _found(self, ids: Sequence[str]) -> dict[str, TaskImage]:
        """Return those of `ids` that somebody else knows, as tasks."""
        now = time.time()
        found = await self._finding(ids, now)
        if found.events:
            await self._store.store(found.events, now=now)
        return {id_: await self._as_found(id_, found) for id_ in found.ids}

    async def _as_found(self, id_: str, found: Found) -> TaskImage:
        task = await self._store.task(id_)
        if task.state in MISSING:
            return TaskImage(id=id_, state=shape.PENDING)
        return task

    async def _order(self, ids: Sequence[str], before: Mapping[str, TaskImage]) -> Told:
        """Note cancels and send them; return what workers answered."""
        at = rfc3339(time.time())
        for id_ in ids:
            await self._keep(id_, Kept(at))
        workers = {one.hostname: one for one in await self._living()}
        try:
            answers = await self.revoke(ids, list(workers))
        except BrokerUnreachable as error:
            for id_ in ids:
                await self._keep(id_, Kept(at, sent=False))
            return Told(unsent=str(error))
        told = read_told(answers, ids)
        waited = {i: h for i, h in told.confirmed.items() if not _runs(before[i])}
        await self._note_confirmed(waited, workers)
        return told

    async def _note_confirmed(
        self, confirmed: Mapping[str, str], workers: Mapping[str, WorkerImage]
    ) -> None:
        """Store that workers stop tasks which wait with them; see `is_pledged`."""
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

    async def _keep(self, id_: str, kept: Kept) -> None:
        await self._store.put_note(KIND, id_, to_json(kept), KEPT)

    async def _drop(self, tasks: Iterable[TaskImage]) -> None:
        for task in tasks:
            if is_done(task):
                await self._store.drop_note(KIND, task.id)

    async def requested_at(self, task_id: str) -> str | None:
        """Return when a cancel was asked for that is not done yet (RFC 3339)."""
        note = await self._store.note(KIND, task_id)
        return None if note is None else msgspec.json.decode(note, type=Kept).at

    async def _living(self) -> list[WorkerImage]:
        workers = await self._store.workers(now=time.time())
        return [one for one in workers if one.state in LIVING]

    async def revoke(
        self, ids: Sequence[str], hosts: Sequence[str], *, only: bool = False
    ) -> dict[str, object]:
        """Tell all workers (or `only` those) to revoke; return what they answered.

        Raises `BrokerUnreachable`.
        """
        arguments: dict[str, object] = {
            "task_id": list(ids),
            "terminate": True,
            "signal": "SIGTERM",
        }
        return await self._mailbox.call(
            "revoke", arguments, ANSWER_WITHIN, hosts=hosts, only=only
        )

    async def _ended(self, ids: Sequence[str], within: float) -> dict[str, TaskImage]:
        """Return the tasks once all have ended, or as they are after `within` s."""
        async with following(self._hub, self._store, *ids) as follower:
            tasks = {task.id: task for task in await follower.now()}
            try:
                async with asyncio.timeout(within):
                    while not all(id_ in tasks and tasks[id_].final for id_ in ids):
                        for task in await follower.changes():
                            tasks[task.id] = task
            except TimeoutError:
                pass
        return tasks

    # -- those that are not done ---------------------------------------------------

    async def repeat(self, hosts: Iterable[str]) -> set[str]:
        """Tell `hosts` of all cancels that are kept; return who answered.

        Forgets those whose task has ended. Everybody has answered if none is kept.
        """
        hosts = set(hosts)
        open_ = await self._open()
        if not open_ or not hosts:
            return hosts
        try:
            answered = set(await self.revoke(list(open_), sorted(hosts), only=True))
        except BrokerUnreachable as error:
            log.warning("Cancels are not repeated yet: %s", error)
            return set()
        if answered:
            log.info("%d cancels repeated to %d workers", len(open_), len(answered))
            for id_, kept in open_.items():
                if not kept.sent:
                    await self._keep(id_, Kept(kept.at))
        return answered

    async def _open(self) -> dict[str, Kept]:
        """Return the cancels that are kept, without those that are done."""
        notes = await self._store.notes(KIND)
        tasks = await self._store.tasks(list(notes))
        done = {task.id for task in tasks if task is not None and is_done(task)}
        for id_ in done:
            await self._store.drop_note(KIND, id_)
        return {
            id_: msgspec.json.decode(note, type=Kept)
            for id_, note in notes.items()
            if id_ not in done
        }

    async def kept(self) -> list[Kept]:
        """Return the cancels that are kept; a store that does not answer keeps none."""
        try:
            notes = await self._store.notes(KIND)
        except StoreError:
            return []
        return [msgspec.json.decode(note, type=Kept) for note in notes.values()]


def is_done(task: TaskImage) -> bool:
    """Return True if no worker can run the task any more.

    A worker that is told of a cancel stores REVOKED at once, while the message still
    waits: another that joins later would run it.
    """
    return task.final and (task.state != shape.REVOKED or task.source == "event")


def _runs(task: TaskImage) -> bool:
    return task.state == shape.STARTED
