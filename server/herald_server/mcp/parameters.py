"""Parameters that several tools share, and registration of tools."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastmcp import FastMCP
from fastmcp.tools import FunctionTool
from mcp.types import Icon, ToolAnnotations
from pydantic import Field

from herald_server.mcp import icons
from herald_server.mcp.answers.short import DetailLevel
from herald_server.mcp.answers.task_results import MAX_SHOWN_CHARS

TaskId = Annotated[
    str, Field(description="A task id as start_background_task returned it")
]
GroupId = Annotated[
    str, Field(description="A group_id as start_task_group or start_task_chain gave it")
]
Priority = Annotated[
    int | None,
    Field(description="0 to 255; 0 is urgent on Redis, the highest on RabbitMQ"),
]
Countdown = Annotated[
    float | None, Field(description="Seconds to wait before it may start")
]
Eta = Annotated[
    str | None, Field(description="RFC 3339 time before which it does not start")
]
Expires = Annotated[
    float | str | None,
    Field(
        description="Seconds or RFC 3339 time after which it is not started any more"
    ),
]
Queue = Annotated[
    str | None, Field(description="Queue to send it to; leave out for its own")
]
Confirm = Annotated[
    bool,
    Field(
        description="Whether your user agreed, for task types that ask for confirmation"
    ),
]
Tags = Annotated[list[str] | None, Field(description="Texts to find it by, up to 20")]
Detail = Annotated[
    DetailLevel,
    Field(description="short leaves out what is empty and cuts long texts; or full"),
]
MaxChars = Annotated[
    int,
    Field(
        ge=1,
        le=MAX_SHOWN_CHARS,
        description="Characters of a result or error beyond which it is cut, up to "
        "65,536",
    ),
]
Limit = Annotated[int, Field(ge=1, le=500, description="Rows at most, 1 to 500")]
NextPage = Annotated[str | None, Field(description="`next` of the answer before")]


def add_read_tool(mcp: FastMCP[Any], tool: Callable[..., Any], title: str) -> None:
    """Add a tool that changes nothing."""
    hints = ToolAnnotations(
        title=title, read_only_hint=True, idempotent_hint=True, open_world_hint=False
    )
    mcp.add_tool(_make_tool(tool, title, hints, icons.READ))


def add_write_tool(
    mcp: FastMCP[Any],
    tool: Callable[..., Any],
    title: str,
    *,
    idempotent: bool,
    destructive: bool = False,
) -> None:
    """Add a tool that starts or ends something; `destructive`: something is lost."""
    hints = ToolAnnotations(
        title=title,
        read_only_hint=False,
        destructive_hint=destructive,
        idempotent_hint=idempotent,
        open_world_hint=True,
    )
    icon = icons.DESTRUCTIVE if destructive else icons.WRITE
    mcp.add_tool(_make_tool(tool, title, hints, icon))


_schemas: dict[Callable[..., Any], FunctionTool] = {}
"""Tools by their function: pydantic builds schemas slowly."""


def _make_tool(
    tool: Callable[..., Any], title: str, hints: ToolAnnotations, icon: Icon
) -> FunctionTool:
    method = getattr(tool, "__func__", tool)
    if method not in _schemas:
        made = FunctionTool.from_function(
            tool, title=title, annotations=hints, icons=[icon]
        )
        _schemas[method] = made.model_copy(update={"fn": _ask_nothing})
    return _schemas[method].model_copy(update={"fn": tool})


def _ask_nothing() -> None:
    raise NotImplementedError


def remove_unset(**given: object) -> dict[str, object]:
    """Return the given arguments without those that are None."""
    return {key: value for key, value in given.items() if value is not None}
