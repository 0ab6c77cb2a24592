"""Starting and cancelling tasks: the only room that sends to Celery.

Celery's calls block, so they run in threads. A task is registered in the store
before it is sent: what Herald started is never unknown, whatever gets lost.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from anyio import to_thread
from celery import Celery
from kombu.exceptions import OperationalError

from herald_monitor.consumers import broker_name
from herald_monitor.errors import HeraldError
from herald_monitor.model import shape
from herald_monitor.model.events import MAX_TEXT, Event, shorten
from herald_monitor.model.shape import TaskImage, rfc3339
from herald_monitor.store import Store
from herald_server.catalog import Catalog
from herald_server.following import until
from herald_server.hub import Hub

log = logging.getLogger(__name__)

CONFIRM_WITHIN = 2.0
"""Seconds to wait for a worker's word after a cancel was sent."""


class BrokerUnreachable(HeraldError):
    """The broker does not answer, so nothing was sent."""


class Started(msgspec.Struct, frozen=True):
    """A task that was sent. `queued_at` is RFC 3339."""

    task_id: str
    task_type: str
    name: str
    queued_at: str
    estimated_duration: str


class Cancelled(msgspec.Struct, frozen=True):
    """What a cancel came to: the task's state now, and a sentence."""

    task_id: str
    state: str
    message: str
    canceled_at: str | None = None


class Control:
    """Sends to Celery through `app`, and registers in `store` what it sends."""

    def __init__(
        self,
        app: Celery,
        store: Store,
        hub: Hub,
        catalog: Catalog,
        redact: Callable[[str], str] = str,
    ) -> None:
        self._app = app
        self._store = store
        self._hub = hub
        self._redact = redact
        self.catalog = catalog

    async def start(self, task_type: str, params: Mapping[str, object]) -> Started:
        """Check, register and send a task of the catalog.

        Raises `CatalogError` before anything is sent, `BrokerUnreachable`,
        `StoreUnreachable`.
        """
        kind = self.catalog[task_type]
        kwargs = kind.check(params, datetime.now(UTC).date())
        task_id = str(uuid.uuid4())
        now = time.time()
        await self._register(task_id, kind.celery_name, kwargs, now)
        await to_thread.run_sync(
            self._send, kind.celery_name, task_id, kwargs, kind.queue
        )
        return Started(
            task_id, task_type, kind.celery_name, rfc3339(now), kind.duration
        )

    async def _register(
        self, task_id: str, name: str, kwargs: Mapping[str, object], now: float
    ) -> None:
        event = Event(
            kind="sent",
            source="submitted",
            task_id=task_id,
            at=now,
            retries=0,
            name=name,
            args="()",
            kwargs=self._redact(shorten(repr(dict(kwargs)), MAX_TEXT)),
            root_id=task_id,
        )
        await self._store.store([event], now=now)

    def _send(
        self, name: str, task_id: str, kwargs: Mapping[str, object], queue: str | None
    ) -> None:
        options: dict[str, Any] = {"queue": queue} if queue else {}
        try:
            self._app.send_task(
                name,
                kwargs=dict(kwargs),
                task_id=task_id,
                retry=False,
                kwargsrepr=self._redact(shorten(repr(dict(kwargs)), 1024)),
                **options,
            )
        except (OperationalError, OSError) as error:
            raise BrokerUnreachable(self._unreachable(error)) from error

    def _unreachable(self, error: BaseException) -> str:
        where = broker_name(self._app)
        why = error or type(error).__name__
        return (
            f"the broker at {where} cannot be reached ({why}); "
            "check HERALD_BROKER_URL and that it runs"
        )

    async def cancel(self, task_id: str) -> Cancelled:
        """Cancel a task and say what came of it, not what was asked.

        Waits up to `CONFIRM_WITHIN` seconds for a worker's word. Raises
        `BrokerUnreachable`, `StoreUnreachable`.
        """
        task = await self._store.task(task_id)
        if task.final:
            return _too_late(task)
        await to_thread.run_sync(self._revoke, task_id)
        after = await until(
            self._hub, self._store, task_id, lambda t: t.final, CONFIRM_WITHIN
        )
        return _outcome(task, after)

    def _revoke(self, task_id: str) -> None:
        try:
            self._app.control.revoke(task_id, terminate=True)
        except (OperationalError, OSError) as error:
            raise BrokerUnreachable(self._unreachable(error)) from error


def _too_late(task: TaskImage) -> Cancelled:
    return Cancelled(
        task.id,
        task.state,
        f"Too late: the task is {task.state.lower()} already, nothing was cancelled.",
    )


def _outcome(before: TaskImage, after: TaskImage) -> Cancelled:
    if after.state == shape.REVOKED:
        how = (
            "terminated while it ran"
            if before.started_at
            else "revoked before it started"
        )
        return Cancelled(
            after.id,
            after.state,
            f"Cancelled: {how}.",
            after.finished_at or after.as_of,
        )
    if after.final:
        return Cancelled(
            after.id,
            after.state,
            f"Too late: it ended as {after.state.lower()} meanwhile.",
        )
    if after.state in (shape.UNKNOWN, shape.EXPIRED):
        return Cancelled(
            after.id,
            after.state,
            "Herald knows nothing of this task; the cancel was sent to all workers "
            "in case it exists.",
        )
    return Cancelled(
        after.id,
        after.state,
        "Cancel was sent, but no worker has confirmed it yet; the task is still "
        f"{after.state.lower()}. A waiting task is revoked when its turn comes; a "
        "worker with threads cannot stop a running one.",
    )
