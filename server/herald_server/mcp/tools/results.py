"""The tool `get_task_result`."""

from __future__ import annotations

from typing import Annotated, Any

from fastmcp import FastMCP
from pydantic import Field

from herald_core.model.tasks import views
from herald_core.store.ports import TaskReader
from herald_server.mcp.answers import presenters
from herald_server.mcp.answers.listing import validate_task_id
from herald_server.mcp.answers.result_parts import cut_part, select_value
from herald_server.mcp.answers.task_results import MAX_READ_BYTES, ResultReader
from herald_server.mcp.http.auth import convert_to_tool_error, require_scope
from herald_server.mcp.models.results import ResultPart
from herald_server.mcp.parameters import TaskId, add_read_tool

DEFAULT_CHARS = 4_000
MAX_CHARS = 65_536


class ResultTools:
    """The tool `get_task_result`."""

    def __init__(self, reader: TaskReader, results: ResultReader) -> None:
        self._reader = reader
        self._results = results

    def register(self, mcp: FastMCP[Any]) -> None:
        """Add the tool to `mcp`."""
        add_read_tool(mcp, self.get_task_result, "Get a task's result")

    async def get_task_result(
        self,
        task_id: TaskId,
        path: Annotated[
            str,
            Field(description="Only this part: a JSON Pointer such as /rows/0/name"),
        ] = "",
        offset: Annotated[
            int, Field(ge=0, description="`next` of the answer before")
        ] = 0,
        most: Annotated[
            int,
            Field(ge=1, le=MAX_CHARS, description="Characters of it, up to 65,536"),
        ] = DEFAULT_CHARS,
    ) -> ResultPart:
        """Return what a task returned, in parts if it is large.

        Use it where a status says that its result is cut. A large object is answered
        with its keys: give one as path, or read on with offset.
        """
        with convert_to_tool_error():
            require_scope("read", "get_task_result")
            task = await self._reader.get_task(validate_task_id(task_id))
            told: dict[str, Any] = {"task_id": task.id, "path": path}
            told["status"] = presenters.get_status(task)
            if task.state != views.SUCCESS:
                message = f"There is no result. {presenters.describe_state(task)}"
                return ResultPart(**told, kind="unknown", message=message)
            outcome = await self._results.read(task, MAX_READ_BYTES)
            part = cut_part(select_value(outcome.value, path), offset, most)
        message = _describe(part, whole=outcome.whole)
        return ResultPart(**told, **part, message=message)


def _describe(part: dict[str, Any], *, whole: bool) -> str:
    if part.get("next") is not None:
        return (
            "There is more: call again with offset set to next, or with the path of a "
            "part."
        )
    if not whole:
        return "This is all that can be shown; the result itself is longer."
    return ""
