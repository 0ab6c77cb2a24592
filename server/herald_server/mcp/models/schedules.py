"""Results of tools about schedules."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field


class ScheduleProblemState(BaseModel):
    """A problem of a schedule."""

    kind: str = Field(
        description="missed, late, overlapping, failed, or beat_silent: the scheduler"
        " submits nothing"
    )
    since: str = Field(description="RFC 3339, UTC")
    message: str = Field(description="What happened, and what to check")
    task_id: str | None = Field(default=None, description="The task it is about")


class ScheduleState(BaseModel):
    """A schedule of a periodic task."""

    id: str = Field(description="Its id")
    name: str = Field(description="Its name")
    task: str = Field(description="Celery's name of its task")
    source: str = Field(description="app, django, redbeat, toml or learnt")
    schedule: str = Field(description="A crontab, or an interval")
    timezone: str | None = Field(default=None, description="Where the crontab applies")
    state: str = Field(
        description="ok, running, missed, late, overlapping, failed, beat_silent,"
        " unknown (events of that time are missing), waiting (no run was due yet),"
        " unconfirmed (learnt; no alarm) or disabled"
    )
    muted: bool = Field(default=False, description="Whether its problems are no alerts")
    next_run: str | None = Field(default=None, description="RFC 3339, UTC")
    last_due: str | None = Field(default=None, description="RFC 3339, UTC")
    last_run: dict[str, Any] | None = Field(
        default=None, description="Its newest task: task_id, state, times, late_s"
    )
    problems: list[ScheduleProblemState] = Field(
        default=[], description="What is wrong, the worst first"
    )


class ListedSchedules(BaseModel):
    """Schedules of periodic tasks, the most urgent first."""

    total: int = Field(description="How many there are")
    schedules: list[ScheduleState] = Field(description="The most urgent first")
    next: str | None = Field(
        default=None, description="Pass it as `page` for the next page; null at the end"
    )
    message: str = Field(description="What needs attention")


class MarkedSchedule(BaseModel):
    """A schedule that was confirmed, muted or unmuted."""

    id: str = Field(description="Its id")
    name: str = Field(description="Its name")
    message: str = Field(description="What that means")
