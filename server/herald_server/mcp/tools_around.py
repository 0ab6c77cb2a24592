"""The tools about what is around tasks: workers, and what may be started."""

from __future__ import annotations

import time
from typing import Annotated, Any, Literal

from fastmcp import FastMCP
from pydantic import Field

from herald_monitor.model.workers import ONLINE, WorkerImage
from herald_server.auth import Narrow
from herald_server.catalog import Catalog, TaskType
from herald_server.dismissing import dismiss_worker
from herald_server.durations import Durations
from herald_server.mcp.access import demand, refusing
from herald_server.mcp.answers_more import (
    DismissedWorker,
    ListedType,
    ListedTypes,
    Workers,
    WorkerState,
)
from herald_server.mcp.arguments import add_doing, add_reading
from herald_server.state import Shared
from herald_server.worker_pages import page_of

MOST_LISTED = 500
"""Workers in one answer, 150 characters each."""


class Around:
    """The tools `list_workers`, `dismiss_worker` and `list_task_types`."""

    def __init__(self, shared: Shared, catalog: Catalog, durations: Durations) -> None:
        self._store = shared.store
        self._audit = shared.audit
        self._catalog = catalog
        self._durations = durations

    def register(self, mcp: FastMCP[Any]) -> None:
        """Add the tools to `mcp`."""
        add_reading(mcp, self.list_workers, "List workers")
        add_doing(mcp, self.dismiss_worker, "Dismiss a worker", idempotent=True)
        add_reading(mcp, self.list_task_types, "List task types")

    async def list_workers(
        self,
        state: Annotated[
            Literal["online", "draining", "silent", "offline"] | None,
            Field(description="Only workers in this state; leave out for all"),
        ] = None,
        limit: Annotated[
            int, Field(ge=1, le=MOST_LISTED, description="How many at most")
        ] = MOST_LISTED,
        after: Annotated[
            str | None, Field(description="`next` of the answer before")
        ] = None,
    ) -> Workers:
        """List the workers: which live, what they are doing, how loaded they are."""
        with refusing():
            demand("read", "list_workers")
            heard = await self._store.workers(now=time.time())
        asked = [one for one in heard if state in (None, one.state)]
        page = page_of(asked, limit, after)
        said = "" if heard else "No worker was heard of: start one with -E."
        if page.next is not None:
            said = (
                f"{len(page.workers)} of {len(asked)} are listed, by name. Ask again"
                " with after set to next, or for one state."
            )
        return Workers(
            total=len(asked),
            online=page.states.get(ONLINE, 0),
            workers=[_worker(one) for one in page.workers],
            whole=page.whole,
            next=page.next,
            message=said,
        )

    async def dismiss_worker(
        self,
        worker: Annotated[
            str, Field(description="A hostname as list_workers returned it")
        ],
    ) -> DismissedWorker:
        """Forget a worker that is silent or offline, because it does not come back.

        It stops nothing: a worker that is online or draining is refused, and one
        that speaks again is listed again.
        """
        with refusing():
            if demand("admin", "dismiss_worker").only is not None:
                raise Narrow("dismiss_worker")
            done = await dismiss_worker(self._store, self._audit, worker)
        return DismissedWorker(
            hostname=done.hostname, state=done.state, message=done.message
        )

    async def list_task_types(
        self,
        name: Annotated[
            str | None,
            Field(description="Only this task type; leave out for all"),
        ] = None,
    ) -> ListedTypes:
        """List the task types, with a JSON Schema of params.

        Those that are startable can be given to start_background_task; the others
        are registered by workers, and no herald.toml allows to start them.
        Durations are measured from the latest runs once there are five.
        """
        with refusing():
            demand("read", "list_task_types")
            kinds = [self._catalog[name]] if name is not None else list(self._catalog)
            listed = [
                _type(kind, await self._durations.said(kind.celery_name, kind.duration))
                for kind in kinds
            ]
        return ListedTypes(task_types=listed, allowed_names=list(self._catalog.allow))


def _worker(one: WorkerImage) -> WorkerState:
    return WorkerState(
        hostname=one.hostname,
        state=one.state,
        active=one.active,
        slots=one.slots,
        processed=one.processed,
        load=list(one.loadavg) if one.loadavg else None,
        software=one.software,
        started_at=one.started_at,
        last_heartbeat_at=one.last_heartbeat_at,
        clock_skew_ms=one.clock_skew_ms,
        pool=one.pool,
        processes=one.processes,
        note=one.note,
    )


def _type(kind: TaskType, duration: str) -> ListedType:
    return ListedType(
        task_type=kind.name,
        task_name=kind.celery_name,
        description=kind.description,
        estimated_duration=duration,
        scope=kind.scope,
        asks_for_confirmation=kind.confirm,
        startable=kind.startable,
        params=kind.json_schema(),
    )
