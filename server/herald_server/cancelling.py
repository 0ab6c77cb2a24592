"""Cancelling tasks, and saying what came of it rather than what was asked.

A cancel is noted before it is sent and kept until its task has ended: Celery's
workers keep revoked ids in memory only, so one that joins later is told again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import msgspec

from herald_monitor.errors import StoreError
from herald_monitor.model import shape
from herald_monitor.model.codec import to_json
from herald_monitor.model.shape import TaskImage, rfc3339
from herald_monitor.model.workers import DRAINING, ONLINE
from herald_monitor.store import Store
from herald_server.following import following
from herald_server.hub import Hub
from herald_server.sending import BrokerUnreachable, Sender

log = logging.getLogger(__name__)

KIND = "cancel"

CONFIRM_WITHIN = 2.0
"""Seconds to wait for a worker's word after a cancel was sent."""

ANSWER_WITHIN = 1.0
"""Seconds in which workers say that they have taken note."""

KEPT = 7 * 86_400.0
KEPT_UNKNOWN = 600.0
"""Seconds for which a cancel is repeated to workers that join, for a task and for
an id of which nothing is known."""

TAKEN = "taken"
UNANSWERED = "unanswered"
REVOKED = "revoked"
TERMINATED = "terminated"
TOO_LATE = "too_late"
UNKNOWN = "unknown"
"""What a cancel may come to."""


class Cancelled(msgspec.Struct, frozen=True):
    """What a cancel came to: the task's state now, and a sentence.

    `outcome` is `revoked` (before it started), `terminated` (while it ran),
    `too_late`, `taken` (workers took note, the task has not ended yet),
    `unanswered` (kept, and told to workers that join) or `unknown`.
    """

    task_id: str
    state: str
    message: str
    canceled_at: str | None = None
    outcome: str = UNKNOWN


class Cancels:
    """Sends cancels, and keeps those that are not done."""

    def __init__(self, sender: Sender, store: Store, hub: Hub) -> None:
        self._sender = sender
        self._store = store
        self._hub = hub

    async def cancel(self, ids: Sequence[str]) -> list[Cancelled]:
        """Cancel tasks and say of each what came of it, in the same order.

        Waits up to `ANSWER_WITHIN` and `CONFIRM_WITHIN` seconds for workers.
        Raises `BrokerUnreachable`, `StoreError`.
        """
        before = {id_: await self._store.task(id_) for id_ in ids}
        wanted = [id_ for id_, task in before.items() if not task.final]
        if not wanted:
            return [too_late(before[id_]) for id_ in ids]
        for id_ in wanted:
            await self._keep(before[id_])
        answered = await self.revoke(wanted, await self._living())
        after = await self._ended(wanted)
        for task in after.values():
            if task.final:
                await self._store.drop_note(KIND, task.id)
        return [outcome_of(before[id_], after.get(id_), len(answered)) for id_ in ids]

    async def _keep(self, task: TaskImage) -> None:
        known = task.state not in (shape.UNKNOWN, shape.EXPIRED)
        note = to_json({"at": rfc3339(time.time())})
        await self._store.put_note(KIND, task.id, note, KEPT if known else KEPT_UNKNOWN)

    async def requested_at(self, task_id: str) -> str | None:
        """Return when a cancel was asked for that is not done yet (RFC 3339)."""
        note = await self._store.note(KIND, task_id)
        return None if note is None else str(msgspec.json.decode(note)["at"])

    async def _living(self) -> list[str]:
        workers = await self._store.workers(now=time.time())
        return [one.hostname for one in workers if one.state in (ONLINE, DRAINING)]

    async def revoke(
        self, ids: Sequence[str], hosts: Sequence[str], *, only: bool = False
    ) -> set[str]:
        """Tell all workers (or `only` those) to revoke; return who of `hosts` answered.

        Raises `BrokerUnreachable`.
        """
        told = await self._sender.do(lambda: self._revoke(list(ids), hosts, only))
        return {host for one in told for host in one}

    def _revoke(
        self, ids: list[str], hosts: Sequence[str], only: bool
    ) -> list[Mapping[str, Any]]:
        asked: dict[str, Any] = {}
        if hosts:
            asked = {"reply": True, "timeout": ANSWER_WITHIN, "limit": len(hosts)}
        if only:
            asked["destination"] = list(hosts)
        control = cast(Any, self._sender.app).control
        return control.revoke(ids, terminate=True, **asked) or []

    async def _ended(self, ids: Sequence[str]) -> dict[str, TaskImage]:
        """Return the tasks once all have ended, or as they are after a while."""
        async with following(self._hub, self._store, *ids) as follower:
            tasks = {task.id: task for task in await follower.now()}
            try:
                async with asyncio.timeout(CONFIRM_WITHIN):
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
        kept = list(await self._store.notes(KIND))
        tasks = await self._store.tasks(kept)
        open_: list[str] = []
        for id_, task in zip(kept, tasks, strict=True):
            if task is not None and task.final:
                await self._store.drop_note(KIND, id_)
            else:
                open_.append(id_)
        if not open_ or not hosts:
            return hosts
        try:
            answered = await self.revoke(open_, sorted(hosts), only=True)
        except BrokerUnreachable as error:
            log.warning("Cancels are not repeated yet: %s", error)
            return set()
        if answered:
            log.info("%d cancels repeated to %d workers", len(open_), len(answered))
        return answered

    async def any_kept(self) -> bool:
        """Say whether any cancel is kept. A store that does not answer keeps none."""
        try:
            return bool(await self._store.notes(KIND))
        except StoreError:
            return False


def hidden(task_id: str) -> Cancelled:
    """Return the answer to a narrow token for a task that is none of its own.

    The same for one that does not exist: nothing is sent for either.
    """
    said = "Herald knows nothing of this task; nothing was cancelled."
    return Cancelled(task_id, shape.UNKNOWN, said)


def too_late(task: TaskImage) -> Cancelled:
    """Return the answer for a task that had ended before the cancel."""
    return Cancelled(
        task.id,
        task.state,
        f"Too late: the task is {task.state.lower()} already, nothing was cancelled.",
        outcome=TOO_LATE,
    )


def outcome_of(before: TaskImage, after: TaskImage | None, answered: int) -> Cancelled:
    """Return what came of a cancel that was sent, and that `answered` workers took."""
    if before.final:
        return too_late(before)
    after = after or before
    if after.state == shape.REVOKED:
        ran = bool(before.started_at)
        how = "terminated while it ran" if ran else "revoked before it started"
        outcome = TERMINATED if ran else REVOKED
        at = after.finished_at or after.as_of
        return Cancelled(after.id, after.state, f"Cancelled: {how}.", at, outcome)
    if after.final:
        ended = f"Too late: it ended as {after.state.lower()} meanwhile."
        return Cancelled(after.id, after.state, ended, outcome=TOO_LATE)
    if after.state in (shape.UNKNOWN, shape.EXPIRED):
        said = (
            "Herald knows nothing of this task; the cancel was sent to all workers "
            "in case it exists."
        )
        return Cancelled(after.id, after.state, said, outcome=UNKNOWN)
    return _open(after, answered)


def _open(task: TaskImage, answered: int) -> Cancelled:
    still = f"the task is still {task.state.lower()}"
    if answered:
        said = (
            f"Cancel was sent, and {answered} "
            f"worker{'s' if answered > 1 else ''} took note, but {still}. A waiting "
            "task is revoked when its turn comes; a worker with threads cannot stop a "
            "running one."
        )
        return Cancelled(task.id, task.state, said, outcome=TAKEN)
    said = (
        f"Cancel was sent, but no worker has confirmed it yet; {still}. It is kept, "
        "and applied as soon as a worker answers that joins."
    )
    return Cancelled(task.id, task.state, said, outcome=UNANSWERED)
