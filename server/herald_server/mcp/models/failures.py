"""Results of the tool about causes of failures."""

from __future__ import annotations

from pydantic import BaseModel, Field


class Cause(BaseModel):
    """A cause: an exception, and where in the project's own code it was raised."""

    fingerprint: str = Field(description="Pass it as `failure` to list_tasks")
    exception: str = Field(description="Its type, with the module")
    frame: str | None = Field(default=None, description="FOLDER/FILE:FUNCTION")
    message_example: str | None = Field(default=None, description="One of its messages")
    count: int = Field(description="Attempts that failed for good")
    retried: int = Field(default=0, description="Attempts that are tried again")
    first_seen: str | None = Field(default=None, description="RFC 3339, UTC")
    last_seen: str | None = Field(default=None, description="RFC 3339, UTC")
    new_since_deploy: bool | None = Field(
        default=None, description="Null: no deploy is known"
    )
    names: dict[str, int] = Field(description="Attempts by task name, at most 10")
    task_example: str | None = Field(default=None, description="Id of its latest task")


class ListedCauses(BaseModel):
    """The causes of failures in a window."""

    since: str = Field(description="RFC 3339, UTC")
    count: int = Field(description="Attempts that failed for good, of all causes")
    total: int = Field(description="How many causes there are")
    failures: list[Cause] = Field(description="The most frequent first")
    message: str = Field(default="", description="What to mind about them, if anything")
