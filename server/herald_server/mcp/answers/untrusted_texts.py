"""Escape and mark the texts of tasks in answers of tools and in resources."""

from __future__ import annotations

import json
from typing import Any, cast

from fastmcp.resources import ResourceContent, ResourceResult
from fastmcp.server.middleware import CallNext, MiddlewareContext
from fastmcp.tools import ToolResult
from mcp.types import CallToolRequestParams, ReadResourceRequestParams

from herald_core.model.tasks.views import TaskView
from herald_server.mcp.answer_middleware import AnswerMiddleware
from herald_server.mcp.answers.task_results import (
    MAX_SHOWN_CHARS,
    ResultReader,
    TaskResult,
)
from herald_server.mcp.answers.untrusted import (
    Sanitizer,
    clean_value,
    find_untrusted,
)

UNTRUSTED_KEY = "herald/untrusted"
"""In `_meta`: the fields that hold texts of tasks, which are data."""


class UntrustedTexts(AnswerMiddleware):
    """Cleans texts, and names the fields with those of tasks in `_meta`."""

    def __init__(self, sanitizer: Sanitizer | None = None) -> None:
        self._sanitizer = sanitizer

    async def change_answer(
        self, context: MiddlewareContext[CallToolRequestParams], result: ToolResult
    ) -> ToolResult:
        """Return `result` with clean texts."""
        fields = result.structured_content
        if not fields or len(result.content) != 1:
            return result
        cleaned = cast("dict[str, Any]", clean_value(fields, self._sanitizer))
        named = find_untrusted(cleaned)
        meta = {**(result.meta or {}), **({UNTRUSTED_KEY: named} if named else {})}
        content = result.content if cleaned == fields else None
        return ToolResult(content, cleaned, meta, result.is_error)

    async def on_read_resource(
        self,
        context: MiddlewareContext[ReadResourceRequestParams],
        call_next: CallNext[ReadResourceRequestParams, ResourceResult],
    ) -> ResourceResult:
        """Read the resource."""
        result = await call_next(context)
        return ResourceResult(
            [self._clean(one) for one in result.contents], meta=result.meta
        )

    def _clean(self, content: ResourceContent) -> ResourceContent:
        if not isinstance(content.content, str):
            return content
        body: object = json.loads(content.content)
        cleaned = clean_value(body, self._sanitizer)
        named = find_untrusted(cleaned)
        meta = {**(content.meta or {}), UNTRUSTED_KEY: named}
        text = content.content
        if cleaned != body:
            text = json.dumps(cleaned, ensure_ascii=False)
        return ResourceContent(text, content.mime_type, meta)


class CleanResults:
    """Reads results whose texts are cleaned, for answers that are no tools'."""

    def __init__(self, results: ResultReader, sanitizer: Sanitizer | None) -> None:
        self._results = results
        self._sanitizer = sanitizer

    async def read(
        self, task: TaskView, max_chars: int = MAX_SHOWN_CHARS
    ) -> TaskResult:
        """Return the result of `task`; `NO_RESULT` unless it succeeded."""
        found = await self._results.read(task, max_chars)
        value = clean_value(found.value, self._sanitizer, untrusted=True)
        return TaskResult(value, found.whole)
