"""Result of the tool that pages through what a task returned."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from herald_server.mcp.models.tasks import Status, TaskId


class ResultPart(BaseModel):
    """A part of what a task returned."""

    task_id: TaskId
    status: Status
    path: str = Field(description="Where in the result it is, as a JSON Pointer")
    kind: str = Field(
        description="object, array, string, number, boolean or null; unknown if "
        "nothing can be shown"
    )
    length: int = Field(default=0, description="Characters of its JSON")
    items: int | None = Field(
        default=None, description="How many items an object or array has"
    )
    keys: list[str] = Field(
        default_factory=list[str], description="Keys of an object, the first 50"
    )
    value: Any = Field(default=None, description="The value, if all of it is here")
    text: str | None = Field(
        default=None, description="Otherwise a part of its JSON, from `offset` on"
    )
    offset: int = Field(default=0, description="Where `text` begins, in characters")
    next: int | None = Field(
        default=None,
        description="Pass it as `offset` for what follows; null at the end",
    )
    message: str = Field(default="", description="What to do next")
