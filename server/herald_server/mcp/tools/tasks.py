"""Tools of single tasks: start, status, cancel, list active."""

from __future__ import annotations

import time
from typing import Annotated, Any

from fastmcp import Context, FastMCP
from mcp.types import InputRequiredResult
from pydantic import Field

from herald_core.store.ports import TaskReader
from herald_server.catalog.catalog import Catalog
from herald_server.control.control import Control
from herald_server.control.start.send_options import parse_key, parse_options
from herald_server.insight.stats.durations import RuntimeEstimator
from herald_server.mcp.answers import presenters
from herald_server.mcp.answers.listing import list_active, validate_task_id
from herald_server.mcp.answers.pages import DEFAULT_ROWS
from herald_server.mcp.answers.short import SHORT
from herald_server.mcp.answers.task_results import ResultReader
from herald_server.mcp.http.auth import convert_to_tool_error, require_scope
from herald_server.mcp.models.tasks import (
    ActiveTasks,
    CancelledTask,
    StartedTask,
    TaskStatus,
)
from herald_server.mcp.parameters import (
    Confirm,
    Countdown,
    Detail,
    Eta,
    Expires,
    Limit,
    MaxChars,
    NextPage,
    Priority,
    Queue,
    Tags,
    TaskId,
    add_read_tool,
    add_write_tool,
    remove_unset,
)
from herald_server.mcp.start import TaskStarter, make_started_answer, require_control
from herald_server.mcp.tools.groups import make_cancelled_task

TypeName = Annotated[
    str,
    Field(description="The name of a task type; list_task_types lists them"),
]


class TaskTools:
    """The tools that answer at once."""

    def __init__(
        self,
        reader: TaskReader,
        control: Control | None,
        catalog: Catalog,
        results: ResultReader,
        durations: RuntimeEstimator,
    ) -> None:
        self._durations = durations
        self._reader = reader
        self._control = control
        self._catalog = catalog
        self._results = results
        self._starting = TaskStarter(control)

    def register(self, mcp: FastMCP[Any]) -> None:
        """Add the tools to `mcp`."""
        start = self.start_background_task
        add_write_tool(mcp, start, "Start a background task", idempotent=False)
        add_read_tool(mcp, self.get_task_status, "Get a task's status")
        add_write_tool(
            mcp, self.cancel_task, "Cancel a task", idempotent=True, destructive=True
        )
        add_read_tool(mcp, self.list_active_tasks, "List active tasks")

    async def start_background_task(
        self,
        ctx: Context,
        task_type: TypeName,
        params: Annotated[
            dict[str, Any] | None,
            Field(description="Its parameters by name; leave out what has a default"),
        ] = None,
        confirm: Confirm = False,
        priority: Priority = None,
        countdown: Countdown = None,
        eta: Eta = None,
        expires: Expires = None,
        queue: Queue = None,
        tags: Tags = None,
        idempotency_key: Annotated[
            str | None,
            Field(
                description="A text of your choice: however often you call with the "
                "same one, the task is started once"
            ),
        ] = None,
    ) -> StartedTask | InputRequiredResult:
        """Start a long-running task on the workers and return its task_id at once.

        Follow it with wait_for_task; do not start it again while it runs. Wrong
        parameters are refused before anything is sent, with what is expected
        instead. The resource catalog://task-types has JSON Schemas of all params.
        """
        given = remove_unset(priority=priority, countdown=countdown, eta=eta)
        given |= remove_unset(expires=expires, queue=queue, tags=tags)
        with convert_to_tool_error():
            options = parse_options(given, time.time())
            key = parse_key(idempotency_key)
            started = await self._starting(
                ctx, task_type, params or {}, confirm, options, key
            )
        return (
            started
            if isinstance(started, InputRequiredResult)
            else make_started_answer(started)
        )

    async def get_task_status(
        self, task_id: TaskId, most: MaxChars = presenters.MAX_RESULT_CHARS
    ) -> TaskStatus:
        """Return a task's state, progress, result or error, as known now.

        Works for every task of the Celery installation, whoever started it. To
        learn when it ends call wait_for_task rather than this again and again.
        """
        with convert_to_tool_error():
            require_scope("read", "get_task_status")
            task = await self._reader.get_task(validate_task_id(task_id))
            measured = await self._durations.measure_name(task.name)
        outcome = await self._results.read(task)
        status = presenters.make_status(task, self._catalog, outcome, measured, most)
        if presenters.is_waiting(task, time.time()):
            status.message += " explain_task tells what it waits for."
        return status

    async def cancel_task(self, task_id: TaskId) -> CancelledTask:
        """Cancel a task: revoke it if it waits, terminate it if it runs.

        Waits up to 3 s for workers and tells what really happened; a task that has
        already ended stays as it is. What nobody has confirmed by then is kept, and
        told to workers that join.
        """
        with convert_to_tool_error():
            require_scope("cancel", "cancel_task")
            done = await require_control(self._control).cancel(
                validate_task_id(task_id)
            )
        return make_cancelled_task(done)

    async def list_active_tasks(
        self,
        task_type: Annotated[
            str | None,
            Field(description="Only tasks of this type; leave out for all tasks"),
        ] = None,
        limit: Limit = DEFAULT_ROWS,
        page: NextPage = None,
        detail: Detail = SHORT,
    ) -> ActiveTasks:
        """Count and list the tasks that wait, run or will be retried, newest first."""
        with convert_to_tool_error():
            require_scope("read", "list_active_tasks")
            return await list_active(
                *(self._reader, self._catalog, task_type),
                limit=limit,
                page=page,
                detail=detail,
            )
