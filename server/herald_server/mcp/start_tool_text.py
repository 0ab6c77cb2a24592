"""Tell a model which task types can be started, in the tools that start them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.tools import Tool
from mcp.types import CallToolRequestParams, ListToolsRequest

from herald_server.auth.request_context import set_identity
from herald_server.catalog.catalog import Catalog, Param, TaskType
from herald_server.catalog.types import NO_DEFAULT
from herald_server.mcp.http.auth import convert_to_mcp_error, get_caller
from herald_server.mcp.profiles.toolsets import RIGHTS
from herald_server.mcp.profiles.typed_tools import (
    PREFIX,
    START_TOOL,
    add_catalog_types,
    list_closed,
    make_start_arguments,
    make_typed_tool,
    map_typed,
)

MAX_LISTED = 40
"""Task types named in the description of a tool; a model reads all of it."""


def format_catalog(catalog: Catalog) -> str:
    """Return a list of task types for a model."""
    kinds = [kind for kind in catalog if kind.startable]
    if not kinds:
        allowed = ", ".join(catalog.allowed_names) or "none: no herald.toml lists any"
        return f"Celery names that may be started: {allowed}"
    lines = [_format_type(kind) for kind in kinds[:MAX_LISTED]]
    if len(kinds) > MAX_LISTED:
        lines.append(f"- and {len(kinds) - MAX_LISTED} more: read catalog://task-types")
    return "Task types and their params:\n" + "\n".join(lines)


def _format_type(kind: TaskType) -> str:
    params = ", ".join(_format_param(param) for param in kind.params)
    asks = "; asks a person to confirm" if kind.confirm else ""
    return f"- {kind.name}({params}): {kind.description} ({kind.duration}{asks})"


def _format_param(param: Param) -> str:
    if param.required:
        return f"{param.name}: {param.type}"
    default = "" if param.default is NO_DEFAULT else f" = {param.default}"
    return f"{param.name}: {param.type}{default}"


class CatalogMiddleware(Middleware):
    """Describes the task types in the tools that start them, and adds typed tools.

    A task type with `tool = true` has a tool of its own; a call of it is a call of
    `start_background_task`.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    async def on_list_tools(
        self,
        context: MiddlewareContext[ListToolsRequest],
        call_next: CallNext[ListToolsRequest, Sequence[Tool]],
    ) -> Sequence[Tool]:
        """Return the tools."""
        tools = await call_next(context)
        # A task-scoped token sees the types that exist for it.
        with convert_to_mcp_error():
            set_identity(get_caller())
        kinds = list_closed(self._catalog)
        listed = [add_catalog_types(tool, kinds) for tool in tools]
        start = next((tool for tool in listed if tool.name == START_TOOL), None)
        if start is None:
            return listed
        text = f"{start.description}\n\n{format_catalog(self._catalog)}"
        described = start.model_copy(update={"description": text})
        listed[listed.index(start)] = described
        return [*listed, *self._make_typed(described)]

    async def on_call_tool(
        self,
        context: MiddlewareContext[CallToolRequestParams],
        call_next: CallNext[CallToolRequestParams, Any],
    ) -> Any:
        """Call the tool, or `start_background_task` for a typed one."""
        asked = context.message
        if asked.name.startswith(PREFIX) and asked.name not in RIGHTS:
            set_identity(get_caller())
            kind = map_typed(self._catalog, RIGHTS).get(asked.name)
            if kind is not None:
                arguments = make_start_arguments(kind, asked.arguments or {})
                changed = {"name": START_TOOL, "arguments": arguments}
                context = context.copy(message=asked.model_copy(update=changed))
        return await call_next(context)

    def _make_typed(self, start: Tool) -> list[Tool]:
        who = get_caller()
        return [
            make_typed_tool(name, kind, start)
            for name, kind in map_typed(self._catalog, RIGHTS).items()
            if who.has_scope(kind.scope)
        ]
