"""The tools: start, look up, cancel and list tasks."""

from __future__ import annotations

import inspect
import time
from datetime import UTC, datetime
from typing import Annotated, Any

from fastmcp import Context, FastMCP
from mcp.types import InputRequiredResult, ToolAnnotations
from pydantic import Field

from herald_monitor.errors import BadInput, HeraldError
from herald_monitor.model.events import MAX_ID
from herald_monitor.model.filters import Filter
from herald_monitor.model.shape import TaskImage, rfc3339
from herald_monitor.store import Reader
from herald_server.catalog import Catalog, TaskType
from herald_server.control import Control, Started
from herald_server.mcp import describing
from herald_server.mcp.access import demand, refusing
from herald_server.mcp.answers import (
    ActiveTasks,
    CancelledTask,
    StartedTask,
    TaskStatus,
)
from herald_server.mcp.confirming import confirmed
from herald_server.mcp.results import Results

MOST = 1_000
"""Active tasks that are listed at most."""

MOST_COUNTED = 1_000_000

TypeName = Annotated[
    str,
    Field(description="One of the task types listed above"),
]
TaskId = Annotated[
    str, Field(description="A task id as start_background_task returned it")
]


class NoBroker(HeraldError):
    """This server cannot send anything."""


def checked_id(task_id: str) -> str:
    """Return `task_id` if it can be one. Raises `BadInput`."""
    task_id = task_id.strip()
    if not 0 < len(task_id) <= MAX_ID:
        raise BadInput(
            f"task_id must be a text of 1 to {MAX_ID} characters, as "
            "start_background_task returned it",
            "task_id",
        )
    return task_id


class Starting:
    """Starts a task type once it is known, allowed, correct and confirmed."""

    def __init__(self, control: Control | None, catalog: Catalog) -> None:
        self._control = control
        self._catalog = catalog

    async def __call__(
        self, ctx: Context, task_type: str, params: dict[str, Any], confirm: bool
    ) -> Started | InputRequiredResult:
        """Start it, or return what asks a person first. Raises `HeraldError`."""
        demand("start", "start_background_task")
        kind = self._catalog[task_type]
        demand(kind.scope, task_type)
        control = orders(self._control)
        kwargs = kind.check(params, datetime.now(UTC).date())
        if kind.confirm:
            ask = await confirmed(ctx, _question(kind, kwargs), confirm)
            if ask is not None:
                return ask
        return await control.start(task_type, params)


def orders(control: Control | None) -> Control:
    """Return what sends to Celery. Raises `NoBroker`."""
    if control is None:
        raise NoBroker(
            "this server knows no broker to send to; set HERALD_BROKER_URL and "
            "start it again"
        )
    return control


def _question(kind: TaskType, kwargs: dict[str, object]) -> str:
    given = ", ".join(f"{key}={value!r}" for key, value in kwargs.items())
    return f"Start {kind.label} ({given})? {kind.description}."


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


async def actives(
    reader: Reader, catalog: Catalog, task_type: str | None = None
) -> ActiveTasks:
    """Return the active tasks, of one type if it is given. Raises `HeraldError`."""
    name = catalog[task_type].celery_name if task_type else None
    filter_ = Filter(state=describing.ACTIVE, name=(name,) if name else None)
    tasks = await newest(reader, filter_, MOST)
    total = len(tasks)
    if total >= MOST:
        total = max(total, await reader.count(filter_, MOST_COUNTED))
    return ActiveTasks(
        total_active=total,
        tasks=[describing.active(task, catalog) for task in tasks],
        queried_at=rfc3339(time.time()),
        message=""
        if total == len(tasks)
        else f"Only the newest {len(tasks)} of {total} are listed.",
    )


async def newest(reader: Reader, filter_: Filter, most: int) -> list[TaskImage]:
    """Return the newest `most` tasks that match."""
    found: list[TaskImage] = []
    page: str | None = None
    while len(found) < most:
        some = await reader.page(filter_, limit=min(500, most - len(found)), page=page)
        found += some.tasks
        page = some.next
        if page is None:
            break
    return found
