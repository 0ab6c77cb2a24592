"""The menu: what may be started, in the description of the tool that starts it.

Many clients show their model the tools, but no resources. The catalog may learn of
types while the server runs, so the menu is made for each listing.
"""

from __future__ import annotations

from collections.abc import Sequence

from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.tools import Tool
from mcp.types import ListToolsRequest

from herald_server.caller import become
from herald_server.catalog import Catalog, Param, TaskType
from herald_server.catalog_types import ABSENT
from herald_server.mcp.access import caller

TOOL = "start_background_task"

MENU = 40
"""Task types that a tool's description names; a model reads all of it."""


def menu(catalog: Catalog) -> str:
    """List the task types for a model that is about to start one."""
    kinds = [kind for kind in catalog if kind.startable]
    if not kinds:
        allowed = ", ".join(catalog.allow) or "none: no herald.toml lists any"
        return f"Celery names that may be started: {allowed}"
    lines = [_line(kind) for kind in kinds[:MENU]]
    if len(kinds) > MENU:
        lines.append(f"- and {len(kinds) - MENU} more: read catalog://task-types")
    return "Task types and their params:\n" + "\n".join(lines)


def _line(kind: TaskType) -> str:
    params = ", ".join(_param(param) for param in kind.params)
    asks = "; asks a person to confirm" if kind.confirm else ""
    return f"- {kind.name}({params}): {kind.description} ({kind.duration}{asks})"


def _param(param: Param) -> str:
    if param.required:
        return f"{param.name}: {param.type}"
    default = "" if param.default is ABSENT else f" = {param.default}"
    return f"{param.name}: {param.type}{default}"


class Menu(Middleware):
    """Adds the menu to the tool that starts a task."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    async def on_list_tools(
        self,
        context: MiddlewareContext[ListToolsRequest],
        call_next: CallNext[ListToolsRequest, Sequence[Tool]],
    ) -> Sequence[Tool]:
        """Return the tools."""
        tools = await call_next(context)
        # A narrow token is told of the types that exist for it.
        become(caller())
        return [self._told(tool) for tool in tools]

    def _told(self, tool: Tool) -> Tool:
        if tool.name != TOOL:
            return tool
        said = f"{tool.description}\n\n{menu(self._catalog)}"
        return tool.model_copy(update={"description": said})
