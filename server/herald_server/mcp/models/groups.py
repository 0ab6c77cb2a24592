"""Results of tools about groups and chains."""

from __future__ import annotations

from pydantic import BaseModel, Field

from herald_server.mcp.models.history import ListedTask
from herald_server.mcp.models.tasks import (
    CancelledTask,
    StartedTask,
)


class StartedGroupAnswer(BaseModel):
    """A group or chain that was sent."""

    group_id: str = Field(description="Its id, for get_group_status and cancel_group")
    total: int = Field(default=0, description="How many members it has")
    tasks: list[StartedTask] = Field(
        description="Its members, in order; the first `limit` of them"
    )
    queued_at: str = Field(description="RFC 3339, UTC")
    message: str = Field(description="What to do next")


class GroupStatus(BaseModel):
    """A group or chain as one."""

    group_id: str = Field(description="Its id")
    status: str = Field(
        description="running, success (all succeeded), failure (some did not), or "
        "unknown"
    )
    done: bool = Field(description="Whether it is known that nothing more will happen")
    total: int = Field(
        description="How many members it has; if it is not whole, at least so many"
    )
    whole: bool = Field(
        description="Whether all members are known. Only then can it be done: Celery's "
        "events tell no group, and nobody tells the size of some"
    )
    finished: int = Field(description="How many have ended")
    progress: float | None = Field(
        default=None,
        description="Percent of the members that have ended; null if it is not whole",
    )
    counts: dict[str, int] = Field(description="Members in each status")
    tasks: list[ListedTask] = Field(
        description="The members: those that failed first, then those that have not "
        "ended; in order with detail=full"
    )
    tasks_whole: bool = Field(description="Whether tasks has every known member")
    message: str = Field(description="What this means, in a sentence")


class CancelledGroup(BaseModel):
    """What cancelling a group or chain came to."""

    group_id: str = Field(description="Its id")
    outcomes: dict[str, int] = Field(
        description="How many members came to what: revoked, terminated, too_late, "
        "taken, unanswered"
    )
    tasks: list[CancelledTask] = Field(
        description="The members: first those that are not known to be cancelled"
    )
    tasks_whole: bool = Field(description="Whether tasks has all that were cancelled")
    whole: bool = Field(description="Whether all members of the group are known")
    message: str = Field(description="What came of it, in a sentence")
