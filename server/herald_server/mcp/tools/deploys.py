"""Tools of marks, and of what became slower since one."""

from __future__ import annotations

import time
from typing import Annotated, Any

import msgspec
from fastmcp import FastMCP
from pydantic import Field

from herald_core.model.marks.mark import Mark
from herald_server.api.context import ServerContext
from herald_server.auth.identity import ScopedTokenRefused
from herald_server.control.marks import parse_mark_request
from herald_server.insight.deploys.marks import HOW_TO_MARK, list_marks
from herald_server.insight.deploys.periods import parse_window
from herald_server.mcp.answers.pages import DEFAULT_ROWS, cut_page
from herald_server.mcp.http.auth import convert_to_tool_error, require_scope
from herald_server.mcp.models.deploys import DeployComparison, ListedMarks, MarkState
from herald_server.mcp.parameters import (
    Limit,
    NextPage,
    add_read_tool,
    add_write_tool,
    remove_unset,
)

MAX_COMPARED = 5
"""Names of each kind that a comparison lists, unless more are asked for."""


class DeployTools:
    """The tools `mark_deploy`, `list_marks` and `compare_with_mark`."""

    def __init__(self, shared: ServerContext) -> None:
        self._shared = shared

    def register(self, mcp: FastMCP[Any]) -> None:
        """Add the tools to `mcp`."""
        add_write_tool(mcp, self.mark_deploy, "Mark a deploy", idempotent=False)
        add_read_tool(mcp, self.list_marks, "List marks")
        add_read_tool(mcp, self.compare_with_mark, "Compare before and after a mark")

    async def mark_deploy(
        self,
        what: Annotated[str, Field(description="What happened, such as 'deploy 4f1c'")],
        version: Annotated[
            str | None, Field(description="The version that runs from then on")
        ] = None,
        at: Annotated[
            str | None, Field(description="RFC 3339 time; leave out for now")
        ] = None,
    ) -> MarkState:
        """Set a mark on every chart: a deploy, a migration, a changed setting.

        compare_with_mark then says what became slower. Workers that report another
        version are marked by themselves.
        """
        with convert_to_tool_error():
            _require_whole("mark", "mark_deploy")
            given = remove_unset(what=what, version=version, at=at)
            request = parse_mark_request(given, time.time())
            return _show_mark(await self._shared.marks.add(request))

    async def list_marks(
        self, limit: Limit = DEFAULT_ROWS, page: NextPage = None
    ) -> ListedMarks:
        """List the marks of the last seven days: deploys and changed versions."""
        with convert_to_tool_error():
            _require_whole("read", "list_marks")
            found = await list_marks(self._shared.store, time.time())
            shown, next_page = cut_page(found, limit, page)
        return ListedMarks(
            total=len(found),
            marks=[_show_mark(mark) for mark in shown],
            next=next_page,
            message="" if found else f"No mark is known: {HOW_TO_MARK}.",
        )

    async def compare_with_mark(
        self,
        mark: Annotated[
            str | None, Field(description="Id of the mark; leave out for the newest")
        ] = None,
        window: Annotated[
            str, Field(description="How much time on each side: 15m, 1h, up to 12h")
        ] = "1h",
        name: Annotated[
            str | None, Field(description="Also this task name, whatever it shows")
        ] = None,
        limit: Limit = MAX_COMPARED,
    ) -> DeployComparison:
        """Tell which task names are slower since a deploy, or fail more often.

        Compares runtimes and failures before and after a mark. A name is slower if its
        median or 95th percentile grew by a quarter or more, and chance is excluded.
        """
        with convert_to_tool_error():
            _require_whole("read", "compare_with_mark")
            deploys, now = self._shared.deploys, time.time()
            seconds = parse_window(window)
            found = await deploys.list_slower(mark, seconds, now)
            asked = (
                await deploys.compare_name(name, found.mark.id, seconds, now)
                if name
                else None
            )
        shown = msgspec.to_builtins(found)
        for key in ("slower", "failing_more"):
            shown[key] = shown[key][:limit]
        if asked is not None:
            shown["asked"] = msgspec.to_builtins(asked.comparison)
            shown["message"] = asked.message
        return DeployComparison(**shown)


def _require_whole(scope: str, what: str) -> None:
    if require_scope(scope, what).task_filter is not None:
        raise ScopedTokenRefused(what)


def _show_mark(mark: Mark) -> MarkState:
    return MarkState(**msgspec.to_builtins(mark))
