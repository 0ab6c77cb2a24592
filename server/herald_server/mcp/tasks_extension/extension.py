"""The extension `io.modelcontextprotocol/tasks`: Celery tasks as MCP tasks.

A client that declares it gets a task (its id is Celery's) instead of the plain result
of `start_background_task`, and its changes by `notifications/tasks`.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from typing import Any

from fastmcp.server.context import Context
from fastmcp.server.dependencies import get_http_request
from fastmcp.server.extensions import (
    MethodBinding,
    ServerExtension,
    ToolCallContinuation,
    ToolCallOutcome,
    read_client_extension_settings,
)
from fastmcp.tools import InputRequiredToolResult, ToolResult
from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import MCP_NAME_HEADER, decode_header_value
from mcp.types import CallToolRequestParams, RequestParams
from mcp_types import (
    HEADER_MISMATCH,
    INVALID_PARAMS,
    MISSING_REQUIRED_CLIENT_CAPABILITY,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ConfigDict, Field

from herald_core.errors import StoreError
from herald_core.model.tasks.views import TaskView
from herald_core.store.ports import TaskReader
from herald_server.api.context import RetentionSettings
from herald_server.catalog.catalog import Catalog
from herald_server.control.control import Control
from herald_server.mcp.answers.presenters import MISSING_STATES, describe_state
from herald_server.mcp.answers.task_results import ResultReader
from herald_server.mcp.http.auth import convert_to_mcp_error, require_scope
from herald_server.mcp.start import require_control
from herald_server.mcp.tasks_extension import models

EXTENSION_ID = "io.modelcontextprotocol/tasks"
START_TOOL = "start_background_task"

Request = ServerRequestContext[Any, Any]


class TaskParams(RequestParams):
    """Parameters of tasks/get and tasks/cancel."""

    model_config = ConfigDict(populate_by_name=True)

    task_id: str = Field(alias="taskId")


class TaskUpdateParams(TaskParams):
    """Parameters of tasks/update."""

    input_responses: dict[str, Any] = Field(
        default_factory=dict[str, Any], alias="inputResponses"
    )


class TasksExtension(ServerExtension):
    """Serves tasks/get, tasks/update and tasks/cancel from the store."""

    identifier = EXTENSION_ID
    give_up = models.GIVE_UP_S
    """Seconds after which a lost task is reported as failed."""

    def __init__(
        self,
        reader: TaskReader,
        control: Control | None,
        catalog: Catalog,
        results: ResultReader,
        tools: Collection[str] = (START_TOOL,),
        kept: RetentionSettings | None = None,
    ) -> None:
        """Serve what `tools` started: those answer with a `task_id` of the store."""
        self._tools = frozenset(tools)
        self._reader = reader
        self._control = control
        self._catalog = catalog
        self._results = results
        self._retention = kept or RetentionSettings()

    def methods(self) -> Sequence[MethodBinding]:
        """Return the methods of the extension."""
        versions = frozenset(MODERN_PROTOCOL_VERSIONS)
        return [
            MethodBinding("tasks/get", TaskParams, self._get, versions),
            MethodBinding("tasks/update", TaskUpdateParams, self._update, versions),
            MethodBinding("tasks/cancel", TaskParams, self._cancel, versions),
        ]

    async def intercept_tool_call(
        self,
        params: CallToolRequestParams,
        context: Context,
        call_next: ToolCallContinuation,
    ) -> ToolCallOutcome:
        """Return a task for a start, to clients that support it."""
        outcome = await call_next()
        now = context.request_context
        if (
            params.name not in self._tools
            or now is None
            or now.protocol_version not in MODERN_PROTOCOL_VERSIONS
            or context.client_extension_settings(EXTENSION_ID) is None
            or not isinstance(outcome, ToolResult)
            or isinstance(outcome, InputRequiredToolResult)
        ):
            return outcome
        started = outcome.structured_content or {}
        try:
            task = await self._reader.get_task(str(started["task_id"]))
        except StoreError:
            # It was started: after an error the client would start it again.
            return outcome
        return models.make_created(task, self._read_clock())

    async def read_known(self, ids: Sequence[str]) -> list[TaskView]:
        """Return the tasks of `ids` that have a record."""
        return [task for task in await self._reader.get_tasks(ids) if task is not None]

    async def make_notification(
        self, task: TaskView, meta: dict[str, Any]
    ) -> models.TaskNotification:
        """Return the notification about `task`."""
        fields = await self._describe_task(task)
        return models.TaskNotification(params={**fields, "_meta": meta})

    async def _get(self, ctx: Request, params: TaskParams) -> dict[str, Any]:
        task = await self._require_task(ctx, params.task_id, "read")
        return {"resultType": "complete", **await self._describe_task(task)}

    async def _update(self, ctx: Request, params: TaskUpdateParams) -> dict[str, Any]:
        # Celery tasks request no input, so every input is too late.
        await self._require_task(ctx, params.task_id, "read")
        return {"resultType": "complete"}

    async def _cancel(self, ctx: Request, params: TaskParams) -> dict[str, Any]:
        task = await self._require_task(ctx, params.task_id, "cancel")
        with convert_to_mcp_error():
            await require_control(self._control).cancel(task.id)
        return {"resultType": "complete"}

    async def _describe_task(self, task: TaskView) -> dict[str, Any]:
        outcome = await self._results.read(task)
        return models.describe_task(task, self._catalog, outcome, self._read_clock())

    def compute_give_up_delay(self, task: TaskView) -> float | None:
        """Return the seconds until a lost task is given up; None for other tasks."""
        return models.compute_give_up_delay(task, self._read_clock())

    def _read_clock(self) -> models.TaskClock:
        kept = self._retention
        return models.TaskClock(
            time.time(), self.give_up, kept.finished, kept.unfinished
        )

    async def _require_task(self, ctx: Request, task_id: str, scope: str) -> TaskView:
        """Return the task if the client may access it. Raises `MCPError`."""
        require_capability(ctx)
        if _get_header_task() not in (None, task_id):
            raise MCPError(HEADER_MISMATCH, f"{MCP_NAME_HEADER} does not match taskId")
        with convert_to_mcp_error():
            require_scope(scope, ctx.method)
            task = await self._reader.get_task(task_id)
        if task.state in MISSING_STATES:
            raise MCPError(
                INVALID_PARAMS, f"unknown task {task_id[:80]!r}: {describe_state(task)}"
            )
        return task


def require_capability(ctx: Request) -> None:
    """Raise `MCPError` unless the client declared the extension."""
    if read_client_extension_settings(ctx, EXTENSION_ID) is None:
        raise make_incapable_error()


def make_incapable_error() -> MCPError:
    """Return the error for a client that did not declare the extension."""
    return MCPError(
        MISSING_REQUIRED_CLIENT_CAPABILITY,
        f"declare the extension {EXTENSION_ID} in the client capabilities "
        "of the request",
        {"requiredCapabilities": {"extensions": {EXTENSION_ID: {}}}},
    )


def _get_header_task() -> str | None:
    """Return the task id in the HTTP request's header."""
    try:
        name = get_http_request().headers.get(MCP_NAME_HEADER)
    except RuntimeError:
        return None
    return None if name is None else decode_header_value(name)
