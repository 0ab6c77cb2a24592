"""Say how large each answer is, before a model reads it."""

from __future__ import annotations

import math
from typing import Any

from fastmcp.server.middleware import MiddlewareContext
from fastmcp.tools import ToolResult
from mcp.types import CallToolRequestParams, TextContent

from herald_server.mcp.answer_middleware import AnswerMiddleware
from herald_server.mcp.answers.short import FULL, SHORT_TOOLS, remove_nulls

BYTES_KEY = "herald/bytes"
TOKENS_KEY = "herald/tokens"
BYTES_PER_TOKEN = 2.5
"""As measured with answers, of ids, times and names, and the vocabulary o200k."""


class AnswerSizes(AnswerMiddleware):
    """Leaves nulls out of rows, and tells the size of each answer in its `_meta`."""

    async def change_answer(
        self, context: MiddlewareContext[CallToolRequestParams], result: ToolResult
    ) -> ToolResult:
        """Return `result` without nulls in its rows, with its size."""
        asked = context.message
        is_short = (asked.arguments or {}).get("detail") != FULL
        if result.structured_content and is_short and asked.name in SHORT_TOOLS:
            result = _shorten(result, result.structured_content)
        return add_size(result)


def _shorten(result: ToolResult, fields: dict[str, Any]) -> ToolResult:
    short = remove_nulls(fields)
    extra = [one for one in result.content if not isinstance(one, TextContent)]
    if short == fields or extra or len(result.content) != 1:
        return result
    return ToolResult(None, short, result.meta, result.is_error)


def add_size(result: ToolResult) -> ToolResult:
    """Return `result` with its size in `_meta`: bytes of text, and tokens, about."""
    size = sum(
        len(one.text.encode()) for one in result.content if isinstance(one, TextContent)
    )
    meta = {BYTES_KEY: size, TOKENS_KEY: math.ceil(size / BYTES_PER_TOKEN)}
    content, fields = list(result.content), result.structured_content
    return ToolResult(content, fields, {**(result.meta or {}), **meta}, result.is_error)
