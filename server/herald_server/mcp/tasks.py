"""The extension `io.modelcontextprotocol/tasks`: Celery tasks as MCP tasks.

A client that declares it gets a task (its id is Celery's) instead of the plain
answer of `start_background_task`, and is told of it by `notifications/tasks`.
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

from herald_monitor.errors import StoreError
from herald_monitor.model.shape import TaskImage
from herald_monitor.store import Reader
from herald_server.catalog import Catalog
from herald_server.control import Control
from herald_server.mcp import tasks_wire
from herald_server.mcp.access import demand, serving
from herald_server.mcp.describing import MISSING, sentence
from herald_server.mcp.results import Results
from herald_server.mcp.starting import orders
from herald_server.state import Kept

ID = "io.modelcontextprotocol/tasks"
TOOL = "start_background_task"

Request = ServerRequestContext[Any, Any]


class OfTask(RequestParams):
    """Parameters of tasks/get and tasks/cancel."""

    model_config = ConfigDict(populate_by_name=True)

    task_id: str = Field(alias="taskId")


class ToTask(OfTask):
    """Parameters of tasks/update."""

    input_responses: dict[str, Any] = Field(
        default_factory=dict[str, Any], alias="inputResponses"
    )


class Tasks(ServerExtension):
    """Serves tasks/get, tasks/update and tasks/cancel from the store."""

    identifier = ID
    give_up = tasks_wire.GIVE_UP
    """Seconds after which a lost task is given up."""

    def __init__(
        self,
        reader: Reader,
        control: Control | None,
        catalog: Catalog,
        results: Results,
        tools: Collection[str] = (TOOL,),
        kept: Kept | None = None,
    ) -> None:
        """Serve what `tools` started: those answer with a `task_id` of the store."""
        self._tools = frozenset(tools)
        self._reader = reader
        self._control = control
        self._catalog = catalog
        self._results = results
        self._kept = kept or Kept()

    def methods(self) -> Sequence[MethodBinding]:
        """Return the methods of the extension."""
        versions = frozenset(MODERN_PROTOCOL_VERSIONS)
        return [
            MethodBinding("tasks/get", OfTask, self._get, versions),
            MethodBinding("tasks/update", ToTask, self._update, versions),
            MethodBinding("tasks/cancel", OfTask, self._cancel, versions),
        ]

    async def intercept_tool_call(
        self,
        params: CallToolRequestParams,
        context: Context,
        call_next: ToolCallContinuation,
    ) -> ToolCallOutcome:
        """Answer a start with a task, to clients that know what that is."""
        outcome = await call_next()
        now = context.request_context
        if (
            params.name not in self._tools
            or now is None
            or now.protocol_version not in MODERN_PROTOCOL_VERSIONS
            or context.client_extension_settings(ID) is None
            or not isinstance(outcome, ToolResult)
            or isinstance(outcome, InputRequiredToolResult)
        ):
            return outcome
        started = outcome.structured_content or {}
        try:
            task = await self._reader.task(str(started["task_id"]))
        except StoreError:
            # It is started, so an error would only have it started again.
            return outcome
        return tasks_wire.created(task, self._clock())

    async def known(self, ids: Sequence[str]) -> list[TaskImage]:
        """Return those tasks of `ids` of which something is stored."""
        return [task for task in await self._reader.tasks(ids) if task is not None]

    async def notification(
        self, task: TaskImage, meta: dict[str, Any]
    ) -> tasks_wire.TaskNotification:
        """Return the notification that tells of `task` as it is."""
        fields = await self._detailed(task)
        return tasks_wire.TaskNotification(params={**fields, "_meta": meta})

    async def _get(self, ctx: Request, params: OfTask) -> dict[str, Any]:
        task = await self._gate(ctx, params.task_id, "read")
        return {"resultType": "complete", **await self._detailed(task)}

    async def _update(self, ctx: Request, params: ToTask) -> dict[str, Any]:
        # Celery tasks ask for no input, so every answer comes too late.
        await self._gate(ctx, params.task_id, "read")
        return {"resultType": "complete"}

    async def _cancel(self, ctx: Request, params: OfTask) -> dict[str, Any]:
        task = await self._gate(ctx, params.task_id, "cancel")
        with serving():
            await orders(self._control).cancel(task.id)
        return {"resultType": "complete"}

    async def _detailed(self, task: TaskImage) -> dict[str, Any]:
        outcome = await self._results.of(task)
        return tasks_wire.detailed(task, self._catalog, outcome, self._clock())

    def given_up_in(self, task: TaskImage) -> float | None:
        """Return the seconds until a lost task is given up; None for all others."""
        return tasks_wire.given_up_in(task, self._clock())

    def _clock(self) -> tasks_wire.Clock:
        kept = self._kept
        return tasks_wire.Clock(
            time.time(), self.give_up, kept.finished, kept.unfinished
        )

    async def _gate(self, ctx: Request, task_id: str, scope: str) -> TaskImage:
        """Return the task if the client may ask for it. Raises `MCPError`."""
        need_capability(ctx)
        if _named() not in (None, task_id):
            raise MCPError(HEADER_MISMATCH, f"{MCP_NAME_HEADER} does not match taskId")
        with serving():
            demand(scope, ctx.method)
            task = await self._reader.task(task_id)
        if task.state in MISSING:
            raise MCPError(
                INVALID_PARAMS, f"unknown task {task_id[:80]!r}: {sentence(task)}"
            )
        return task


def need_capability(ctx: Request) -> None:
    """Raise `MCPError` unless the client declared the extension."""
    if read_client_extension_settings(ctx, ID) is None:
        raise incapable()


def incapable() -> MCPError:
    """Return what is answered to a client that did not declare the extension."""
    return MCPError(
        MISSING_REQUIRED_CLIENT_CAPABILITY,
        f"declare the extension {ID} in the client capabilities of the request",
        {"requiredCapabilities": {"extensions": {ID: {}}}},
    )


def _named() -> str | None:
    """Return the task that the HTTP request names in its header."""
    try:
        name = get_http_request().headers.get(MCP_NAME_HEADER)
    except RuntimeError:
        return None
    return None if name is None else decode_header_value(name)
