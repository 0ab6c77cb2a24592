"""The tool `list_failures`."""

from __future__ import annotations

from itertools import islice
from typing import Annotated, Any, Literal

from fastmcp import FastMCP
from pydantic import Field

from herald_core.model.failures.summary import FailureList, FailureSummary
from herald_core.model.filters import parse_filter
from herald_server.insight.failures.reader import FailureReader
from herald_server.mcp.http.auth import convert_to_tool_error, require_scope
from herald_server.mcp.models.failures import Cause, ListedCauses
from herald_server.mcp.parameters import add_read_tool, remove_unset

MAX_SHOWN_NAMES = 10
MAX_MESSAGE_CHARS = 160


class FailureTools:
    """The tool `list_failures`."""

    def __init__(self, reader: FailureReader) -> None:
        self._reader = reader

    def register(self, mcp: FastMCP[Any]) -> None:
        """Add the tool to `mcp`."""
        add_read_tool(mcp, self.list_failures, "List failures by cause")

    async def list_failures(
        self,
        window: Annotated[
            Literal["10m", "1h", "24h"], Field(description="How far back")
        ] = "1h",
        name: Annotated[
            str | list[str] | None, Field(description="Celery names; * and ? are wild")
        ] = None,
        limit: Annotated[int, Field(ge=1, le=50, description="Causes, 1 to 50")] = 10,
    ) -> ListedCauses:
        """List why tasks fail: exceptions by the place in the project's own code.

        Use it first when many tasks fail. list_tasks with a fingerprint as `failure`
        lists the tasks of a cause.
        """
        with convert_to_tool_error():
            require_scope("read", "list_failures")
            names = parse_filter(remove_unset(name=name)).name or ()
            found = await self._reader.list_causes(window, names, limit)
        return ListedCauses(
            since=found.since,
            count=found.count,
            total=found.total,
            failures=[_make_cause(one) for one in found.failures],
            message=_describe(found),
        )


def _make_cause(one: FailureSummary) -> Cause:
    message = one.message_example
    return Cause(
        fingerprint=one.fingerprint,
        exception=one.exception,
        frame=one.frame,
        message_example=message and message[:MAX_MESSAGE_CHARS],
        count=one.count,
        retried=one.retried,
        first_seen=one.first_seen,
        last_seen=one.last_seen,
        new_since_deploy=one.new_since_deploy,
        names=dict(islice(one.names.items(), MAX_SHOWN_NAMES)),
        task_example=one.task_example,
    )


def _describe(found: FailureList) -> str:
    if not found.total:
        return f"Nothing failed in the last {found.window}."
    if found.other:
        return (
            f"{found.other} more attempts failed of causes that are too many to "
            "count separately."
        )
    return ""
