"""Result of the tool that waits for changes."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class ChangesAnswer(BaseModel):
    """What changed since a cursor."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    changed: int = Field(
        default=0, description="How many tasks are told here, in put and del"
    )
    more: int = Field(
        default=0, description="How many more changed; the next call returns them"
    )
    put: list[dict[str, Any]] = Field(
        description="Tasks that match as they are now: the newest of them after a "
        "reset, else those that changed"
    )
    gone: list[str] = Field(
        alias="del", description="Ids of tasks that do not match any more"
    )
    cursor: str = Field(description="Pass it to the next call: nothing is missed")
    reset: str | None = Field(
        default=None,
        description="If given, forget what you knew: `put` is a fresh snapshot. new "
        "(first call), or trimmed, epoch, slow: changes were missed",
    )
    done: bool = Field(
        default=False, description="Whether all ids of the filter have ended for good"
    )
    message: str = Field(default="", description="What to do next")
