"""The tools: start, look up, cancel and list tasks."""

from __future__ import annotations

import inspect
from typing import Annotated, Any

from fastmcp import Context, FastMCP
from mcp.types import InputRequiredResult, ToolAnnotations
from pydantic import Field

from herald_monitor.store import Reader
from herald_server.catalog import Catalog
from herald_server.control import Control
from herald_server.mcp import describing
from herald_server.mcp.access import demand, refusing
from herald_server.mcp.active import actives, checked_id
from herald_server.mcp.answers import (
    ActiveTasks,
    CancelledTask,
    StartedTask,
    TaskStatus,
)
from herald_server.mcp.results import Results
from herald_server.mcp.starting import Starting, orders

TypeName = Annotated[
    str,
    Field(description="One of the task types listed above"),
]
TaskId = Annotated[
    str, Field(description="A task id as start_background_task returned it")
]


class Tools:
    """The tools that answer at once."""

    def __init__(
        self,
        reader: Reader,
        control: Control | None,
        catalog: Catalog,
        results: Results,
    ) -> None:
        self._reader = reader
        self._control = control
        self._catalog = catalog
        self._results = results
        self._starting = Starting(control, catalog)

    def register(self, mcp: FastMCP[Any]) -> None:
        """Add the tools to `mcp`."""
        # Many clients show their model the tools, but no resources.
        doc = inspect.cleandoc(self.start_background_task.__doc__ or "")
        mcp.tool(
            self.start_background_task,
            title="Start a background task",
            description=f"{doc}\n\n{describing.menu(self._catalog)}",
            annotations=ToolAnnotations(
                read_only_hint=False, destructive_hint=True, idempotent_hint=False
            ),
        )
        mcp.tool(
            self.get_task_status,
            title="Get a task's status",
            annotations=ToolAnnotations(read_only_hint=True, idempotent_hint=True),
        )
        mcp.tool(
            self.cancel_task,
            title="Cancel a task",
            annotations=ToolAnnotations(
                read_only_hint=False, destructive_hint=True, idempotent_hint=True
            ),
        )
        mcp.tool(
            self.list_active_tasks,
            title="List active tasks",
            annotations=ToolAnnotations(read_only_hint=True, idempotent_hint=True),
        )

    async def start_background_task(
        self,
        ctx: Context,
        task_type: TypeName,
        params: Annotated[
            dict[str, Any] | None,
            Field(description="Its parameters by name; leave out what has a default"),
        ] = None,
        confirm: Annotated[
            bool,
            Field(
                description="Whether your user agreed, for task types that ask for "
                "confirmation"
            ),
        ] = False,
    ) -> StartedTask | InputRequiredResult:
        """Start a long-running task on the workers and return its task_id at once.

        Follow it with wait_for_task; do not start it again while it runs. Wrong
        parameters are refused before anything is sent, with what is expected
        instead. The resource catalog://task-types has JSON Schemas of all params.
        """
        with refusing():
            started = await self._starting(ctx, task_type, params or {}, confirm)
        if isinstance(started, InputRequiredResult):
            return started
        return StartedTask(
            task_id=started.task_id,
            task_type=started.task_type,
            status="queued",
            estimated_duration=started.estimated_duration,
            queued_at=started.queued_at,
            message=f"Task queued; it usually takes {started.estimated_duration}. "
            "Call wait_for_task with this task_id: it answers once the task ends.",
        )

    async def get_task_status(self, task_id: TaskId) -> TaskStatus:
        """Return a task's state, progress, result or error, as known now.

        Works for every task of the Celery installation, whoever started it. To
        learn when it ends call wait_for_task rather than this again and again.
        """
        with refusing():
            demand("read", "get_task_status")
            task = await self._reader.task(checked_id(task_id))
        return describing.status(task, self._catalog, await self._results.of(task))

    async def cancel_task(self, task_id: TaskId) -> CancelledTask:
        """Cancel a task: revoke it if it waits, terminate it if it runs.

        Waits up to 2 s for a worker's word and tells what really happened; a task
        that has already ended stays as it is.
        """
        with refusing():
            demand("cancel", "cancel_task")
            done = await orders(self._control).cancel(checked_id(task_id))
        return CancelledTask(
            task_id=done.task_id,
            status=done.state.lower(),
            message=done.message,
            canceled_at=done.canceled_at,
        )

    async def list_active_tasks(
        self,
        task_type: Annotated[
            str | None,
            Field(description="Only tasks of this type; leave out for all tasks"),
        ] = None,
    ) -> ActiveTasks:
        """List the tasks that wait, run or will be retried, newest first."""
        with refusing():
            demand("read", "list_active_tasks")
            return await actives(self._reader, self._catalog, task_type)
