"""Offer a caller only the tools that it can use, and that its profile wants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.tools import Tool
from mcp.types import CallToolRequestParams, ListToolsRequest

from herald_core.errors import InvalidInput
from herald_server.mcp.http.auth import (
    convert_to_mcp_error,
    convert_to_tool_error,
    get_potential_caller,
)
from herald_server.mcp.profiles.profile import EVERYTHING, ToolProfile, get_profile
from herald_server.mcp.profiles.toolsets import may_ever_use


class ToolFilter(Middleware):
    """Lists the usable tools, and refuses those outside the profile.

    A listed tool may still be refused: for the task that it is called for. One that is
    not listed for want of a scope is refused with the scope's name.
    """

    async def on_list_tools(
        self,
        context: MiddlewareContext[ListToolsRequest],
        call_next: CallNext[ListToolsRequest, Sequence[Tool]],
    ) -> Sequence[Tool]:
        """Return the tools."""
        tools = await call_next(context)
        with convert_to_mcp_error():
            who, profile = get_potential_caller(), get_profile()
        return [
            tool
            for tool in tools
            if may_ever_use(who, tool.name) and _is_offered(profile, tool)
        ]

    async def on_call_tool(
        self,
        context: MiddlewareContext[CallToolRequestParams],
        call_next: CallNext[CallToolRequestParams, Any],
    ) -> Any:
        """Call the tool. Raises `ToolError`."""
        with convert_to_tool_error():
            profile = get_profile()
            if profile != EVERYTHING:
                await _check_profile(profile, context)
        return await call_next(context)


async def _check_profile(
    profile: ToolProfile, context: MiddlewareContext[CallToolRequestParams]
) -> None:
    assert context.fastmcp_context is not None
    tool = await context.fastmcp_context.fastmcp.get_tool(context.message.name)
    if tool is None or _is_offered(profile, tool):
        return
    why = "it is read-only" if profile.read_only else "its toolsets do not have it"
    raise InvalidInput(
        f"{tool.name} is not in the profile of this client: {why}. Nothing was done; "
        "the profile is set where the client is configured."
    )


def _is_offered(profile: ToolProfile, tool: Tool) -> bool:
    reads = bool(tool.annotations and tool.annotations.read_only_hint)
    return profile.can_show(tool.name, reads=reads)
