"""Results of the tool about alerts."""

from __future__ import annotations

from pydantic import BaseModel, Field


class AlertState(BaseModel):
    """An alert."""

    id: str = Field(description="Its id")
    rule: str = Field(description="The rule, such as queue_unconsumed or worker_silent")
    subject: str = Field(
        description="The task name, queue, worker, schedule or webhook it is about"
    )
    state: str = Field(description="firing or resolved")
    severity: str = Field(description="info, warning or critical")
    title: str = Field(description="What happened")
    message: str = Field(default="", description="Figures, and what to check")
    since: str = Field(description="When the problem began: RFC 3339, UTC")
    fired_at: str = Field(description="When Herald noticed it: RFC 3339, UTC")
    resolved_at: str | None = Field(default=None, description="RFC 3339, UTC")
    silenced_until: str | None = Field(default=None, description="RFC 3339, UTC")


class ListedAlerts(BaseModel):
    """Alerts, those that fire first."""

    firing: int = Field(description="How many fire now")
    total: int = Field(description="How many match")
    alerts: list[AlertState] = Field(description="One page of them")
    next: str | None = Field(
        default=None, description="Pass it as `page` for the next page; null at the end"
    )
    message: str = Field(description="What needs attention")
