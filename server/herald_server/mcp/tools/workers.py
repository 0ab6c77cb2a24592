"""Tools of workers and task types."""

from __future__ import annotations

import time
from typing import Annotated, Any, Literal

from fastmcp import FastMCP
from pydantic import Field

from herald_core.model.workers.worker import ONLINE, WorkerView
from herald_server.api.context import ServerContext
from herald_server.auth.identity import ScopedTokenRefused
from herald_server.catalog.catalog import Catalog, TaskType
from herald_server.control.dismiss_worker import dismiss_worker
from herald_server.insight.stats.durations import RuntimeEstimator
from herald_server.insight.worker_pages import make_page
from herald_server.mcp.answers.pages import DEFAULT_ROWS, cut_page
from herald_server.mcp.answers.short import SHORT, DetailLevel, cut_time
from herald_server.mcp.http.auth import convert_to_tool_error, require_scope
from herald_server.mcp.models.task_types import ListedType, ListedTypes
from herald_server.mcp.models.workers import DismissedWorker, WorkersAnswer, WorkerState
from herald_server.mcp.parameters import (
    Detail,
    Limit,
    NextPage,
    add_read_tool,
    add_write_tool,
)

MAX_LISTED = 500
"""Workers in one answer, 150 characters each."""


class WorkerTools:
    """The tools `list_workers`, `dismiss_worker` and `list_task_types`."""

    def __init__(
        self, shared: ServerContext, catalog: Catalog, durations: RuntimeEstimator
    ) -> None:
        self._store = shared.store
        self._audit = shared.audit
        self._catalog = catalog
        self._durations = durations

    def register(self, mcp: FastMCP[Any]) -> None:
        """Add the tools to `mcp`."""
        add_read_tool(mcp, self.list_workers, "List workers")
        add_write_tool(
            mcp,
            self.dismiss_worker,
            "Dismiss a worker",
            idempotent=True,
            destructive=True,
        )
        add_read_tool(mcp, self.list_task_types, "List task types")

    async def list_workers(
        self,
        state: Annotated[
            Literal["online", "draining", "silent", "offline"] | None,
            Field(description="Only workers in this state; leave out for all"),
        ] = None,
        limit: Annotated[
            int, Field(ge=1, le=MAX_LISTED, description="How many at most")
        ] = DEFAULT_ROWS,
        after: Annotated[
            str | None, Field(description="`next` of the answer before")
        ] = None,
        detail: Detail = SHORT,
    ) -> WorkersAnswer:
        """List the workers: which live, what they are doing, how loaded they are."""
        with convert_to_tool_error():
            require_scope("read", "list_workers")
            known = await self._store.list_workers(now=time.time())
        selected = [one for one in known if state in (None, one.state)]
        page = make_page(selected, limit, after)
        message = (
            ""
            if known
            else "No worker was heard of: start one with -I herald_worker.auto."
        )
        if page.next is not None:
            message = (
                f"{len(page.workers)} of {len(selected)} are listed, by name. Ask again"
                " with after set to next, or for one state."
            )
        return WorkersAnswer(
            total=len(selected),
            online=page.states.get(ONLINE, 0),
            states=page.states,
            workers=[_make_worker(one, detail) for one in page.workers],
            whole=page.whole,
            next=page.next,
            message=message,
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
        with convert_to_tool_error():
            if require_scope("admin", "dismiss_worker").task_filter is not None:
                raise ScopedTokenRefused("dismiss_worker")
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
        limit: Limit = DEFAULT_ROWS,
        page: NextPage = None,
    ) -> ListedTypes:
        """List the task types, with a JSON Schema of params.

        Those that are startable can be given to start_background_task; the others
        are registered by workers, and no herald.toml allows to start them.
        Durations are measured from the latest runs once there are five.
        """
        with convert_to_tool_error():
            require_scope("read", "list_task_types")
            known = [self._catalog[name]] if name is not None else list(self._catalog)
            kinds, next_page = cut_page(known, limit, page)
            listed = [
                _make_type(
                    kind,
                    await self._durations.describe(kind.celery_name, kind.duration),
                )
                for kind in kinds
            ]
        return ListedTypes(
            total=len(known),
            task_types=listed,
            next=next_page,
            allowed_names=list(self._catalog.allowed_names),
        )


def _make_worker(one: WorkerView, detail: DetailLevel) -> WorkerState:
    if detail == SHORT:
        return WorkerState(
            hostname=one.hostname,
            state=one.state,
            active=one.active,
            slots=one.slots,
            processed=one.processed,
            release=one.release,
            last_heartbeat_at=cut_time(one.last_heartbeat_at),
            note=one.note,
        )
    return WorkerState(
        hostname=one.hostname,
        state=one.state,
        active=one.active,
        slots=one.slots,
        processed=one.processed,
        load=list(one.loadavg) if one.loadavg else None,
        software=one.software,
        release=one.release,
        started_at=one.started_at,
        last_heartbeat_at=one.last_heartbeat_at,
        clock_skew_ms=one.clock_skew_ms,
        pool=one.pool,
        processes=one.processes,
        note=one.note,
    )


def _make_type(kind: TaskType, duration: str) -> ListedType:
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
