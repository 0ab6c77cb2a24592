"""List the startable task types in the description of the tool that starts them.

Many clients show their model the tools, but no resources. The catalog may change while
the server runs, so the text is generated for each listing.
"""

from __future__ import annotations

from collections.abc import Sequence

from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.tools import Tool
from mcp.types import ListToolsRequest

from herald_server.auth.request_context import set_identity
from herald_server.catalog.catalog import Catalog, Param, TaskType
from herald_server.catalog.types import NO_DEFAULT
from herald_server.mcp.http.auth import get_caller

START_TOOL = "start_background_task"

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
    """Adds the list of task types to the tool that starts a task."""

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
        set_identity(get_caller())
        return [self._add_catalog(tool) for tool in tools]

    def _add_catalog(self, tool: Tool) -> Tool:
        if tool.name != START_TOOL:
            return tool
        description = f"{tool.description}\n\n{format_catalog(self._catalog)}"
        return tool.model_copy(update={"description": description})
