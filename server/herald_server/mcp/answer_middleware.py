"""The middleware of what is changed in the answers of tools."""

from __future__ import annotations

from typing import Any

from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.tools import InputRequiredToolResult, ToolResult
from mcp.types import CallToolRequestParams


class AnswerMiddleware(Middleware):
    """Passes complete answers of tools to `change_answer`, and all else on as it is."""

    async def on_call_tool(
        self,
        context: MiddlewareContext[CallToolRequestParams],
        call_next: CallNext[CallToolRequestParams, Any],
    ) -> Any:
        """Call the tool."""
        result = await call_next(context)
        if not isinstance(result, ToolResult) or isinstance(
            result, InputRequiredToolResult
        ):
            return result
        return await self.change_answer(context, result)

    async def change_answer(
        self, context: MiddlewareContext[CallToolRequestParams], result: ToolResult
    ) -> ToolResult:
        """Return what the client gets for `result` of the call in `context`."""
        raise NotImplementedError
