"""Results of tools about workers."""

from __future__ import annotations

from pydantic import BaseModel, Field

from herald_server.mcp.models.tasks import (
    Time,
)


class WorkerState(BaseModel):
    """A worker."""

    hostname: str = Field(description="Its name")
    state: str = Field(
        description="online, draining (shuts down once its tasks end), silent "
        "(neither heartbeats nor answers; it may be busy), offline"
    )
    active: int | None = Field(default=None, description="Tasks that it runs now")
    slots: int | None = Field(default=None, description="Tasks that it can run at once")
    processed: int | None = Field(default=None, description="Tasks since it started")
    load: list[float] | None = Field(default=None, description="Load of its machine")
    software: str | None = Field(default=None, description="What it runs")
    release: str | None = Field(
        default=None, description="The version of the project that it says it runs"
    )
    started_at: Time = None
    last_heartbeat_at: Time = None
    clock_skew_ms: int | None = Field(
        default=None, description="Milliseconds by which its clock runs ahead"
    )
    pool: str | None = Field(default=None, description="How it runs tasks")
    processes: int | None = Field(
        default=None, description="Processes that share the name, if more than one do"
    )
    note: str | None = Field(
        default=None, description="What its silence or its name means"
    )


class WorkersAnswer(BaseModel):
    """The workers that were heard of."""

    total: int = Field(description="How many there are, listed or not")
    online: int = Field(description="How many of them are online")
    states: dict[str, int] = Field(
        default_factory=dict[str, int], description="How many are in each state"
    )
    workers: list[WorkerState] = Field(description="By name")
    whole: bool = Field(default=True, description="Whether all of them are listed")
    next: str | None = Field(
        default=None, description="If more follow, the `after` with which to ask"
    )
    message: str = Field(default="", description="What this means")


class DismissedWorker(BaseModel):
    """A worker that was dismissed."""

    hostname: str = Field(description="Its name")
    state: str = Field(description="The state that it was in: silent or offline")
    message: str = Field(description="What came of it")
