"""The tools: start, look up, cancel and list tasks."""

from __future__ import annotations

import time
from typing import Annotated, Any

from fastmcp import Context, FastMCP
from mcp.types import InputRequiredResult
from pydantic import Field

from herald_monitor.store import Reader
from herald_server.catalog import Catalog
from herald_server.control import Control
from herald_server.durations import Durations
from herald_server.mcp import describing
from herald_server.mcp.access import demand, refusing
from herald_server.mcp.active import actives, checked_id
from herald_server.mcp.answers import (
    ActiveTasks,
    CancelledTask,
    StartedTask,
    TaskStatus,
)
from herald_server.mcp.arguments import (
    Countdown,
    Eta,
    Expires,
    Priority,
    Queue,
    Tags,
    TaskId,
    add_doing,
    add_reading,
    flat,
)
from herald_server.mcp.results import Results
from herald_server.mcp.starting import Starting, orders, queued
from herald_server.mcp.tools_groups import shown
from herald_server.options import parse_key, parse_options

TypeName = Annotated[
    str,
    Field(description="The name of a task type; list_task_types lists them"),
]


class Tools:
    """The tools that answer at once."""

    def __init__(
        self,
        reader: Reader,
        control: Control | None,
        catalog: Catalog,
        results: Results,
        durations: Durations,
    ) -> None:
        self._durations = durations
        self._reader = reader
        self._control = control
        self._catalog = catalog
        self._results = results
        self._starting = Starting(control)

    def register(self, mcp: FastMCP[Any]) -> None:
        """Add the tools to `mcp`."""
        start = self.start_background_task
        add_doing(mcp, start, "Start a background task", idempotent=False)
        add_reading(mcp, self.get_task_status, "Get a task's status")
        add_doing(mcp, self.cancel_task, "Cancel a task", idempotent=True)
        add_reading(mcp, self.list_active_tasks, "List active tasks")

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
        given = flat(priority=priority, countdown=countdown, eta=eta)
        given |= flat(expires=expires, queue=queue, tags=tags)
        with refusing():
            options = parse_options(given, time.time())
            key = parse_key(idempotency_key)
            started = await self._starting(
                ctx, task_type, params or {}, confirm, options, key
            )
        return started if isinstance(started, InputRequiredResult) else queued(started)

    async def get_task_status(self, task_id: TaskId) -> TaskStatus:
        """Return a task's state, progress, result or error, as known now.

        Works for every task of the Celery installation, whoever started it. To
        learn when it ends call wait_for_task rather than this again and again.
        """
        with refusing():
            demand("read", "get_task_status")
            task = await self._reader.task(checked_id(task_id))
            measured = await self._durations.of(task.name)
        outcome = await self._results.of(task)
        return describing.status(task, self._catalog, outcome, measured)

    async def cancel_task(self, task_id: TaskId) -> CancelledTask:
        """Cancel a task: revoke it if it waits, terminate it if it runs.

        Waits up to 3 s for workers and tells what really happened; a task that has
        already ended stays as it is. What nobody has confirmed by then is kept, and
        told to workers that join.
        """
        with refusing():
            demand("cancel", "cancel_task")
            done = await orders(self._control).cancel(checked_id(task_id))
        return shown(done)

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
