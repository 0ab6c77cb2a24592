"""Mark MCP results that rest on outdated data."""

from __future__ import annotations

import json
from collections.abc import Callable

from fastmcp.resources import ResourceContent, ResourceResult
from fastmcp.server.middleware import CallNext, MiddlewareContext
from fastmcp.tools import ToolResult
from mcp.types import CallToolRequestParams, ReadResourceRequestParams

from herald_server.mcp.answer_middleware import AnswerMiddleware
from herald_server.push.freshness import Staleness

MESSAGE_KEY = "message"
"""Field of the tools' answers that a model reads as a sentence."""


class StaleMiddleware(AnswerMiddleware):
    """Adds a sentence to each result while the data is outdated.

    A tool result has it in `message`, or else as a text of its own; a resource that is
    a JSON object has it under the key `stale`.
    """

    def __init__(self, staleness: Callable[[], Staleness | None]) -> None:
        self._staleness = staleness

    async def change_answer(
        self, context: MiddlewareContext[CallToolRequestParams], result: ToolResult
    ) -> ToolResult:
        """Return `result` with the sentence."""
        stale = self._staleness()
        if stale is None or result.is_error:
            return result
        if await _is_read_tool(context):
            return add_sentence(result, stale.notice, "")
        return add_sentence(result, "", stale.warning)

    async def on_read_resource(
        self,
        context: MiddlewareContext[ReadResourceRequestParams],
        call_next: CallNext[ReadResourceRequestParams, ResourceResult],
    ) -> ResourceResult:
        """Read the resource."""
        result = await call_next(context)
        stale = self._staleness()
        if stale is None:
            return result
        marked = [mark_content(one, stale) for one in result.contents]
        return ResourceResult(marked, meta=result.meta)


async def _is_read_tool(context: MiddlewareContext[CallToolRequestParams]) -> bool:
    assert context.fastmcp_context is not None
    tool = await context.fastmcp_context.fastmcp.get_tool(context.message.name)
    return bool(tool and tool.annotations and tool.annotations.read_only_hint)


def add_sentence(result: ToolResult, before: str, after: str) -> ToolResult:
    """Return `result` with a sentence before or after its message. Pure."""
    fields = result.structured_content
    if fields is None or MESSAGE_KEY not in fields:
        content = [before, *result.content, after]
        return ToolResult([one for one in content if one], fields, result.meta)
    message = f"{before} {fields[MESSAGE_KEY]} {after}".strip()
    return ToolResult(None, {**fields, MESSAGE_KEY: message}, result.meta)


def mark_content(content: ResourceContent, stale: Staleness) -> ResourceContent:
    """Return `content` with the key `stale`, if it is a JSON object. Pure."""
    body = json.loads(content.content)
    if not isinstance(body, dict):
        return content
    text = json.dumps({"stale": stale.to_json(), **body}, ensure_ascii=False)
    return ResourceContent(text, content.mime_type, content.meta)
