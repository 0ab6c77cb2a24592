"""Results of tools about task types and their statistics."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from herald_server.mcp.models.tasks import (
    TypeName,
)


class ListedType(BaseModel):
    """A task type."""

    task_type: str = Field(description="What start_background_task takes")
    task_name: str = Field(description="Celery's name")
    description: str = Field(description="What it does")
    estimated_duration: str = Field(description="How long it usually takes")
    scope: str = Field(description="The scope that a token needs to start it")
    asks_for_confirmation: bool = Field(description="Whether a person must agree")
    startable: bool = Field(
        description="Whether it may be started; false for what is only registered"
    )
    params: dict[str, Any] = Field(description="JSON Schema of its params")


class ListedTypes(BaseModel):
    """The task types that are known."""

    total: int = Field(default=0, description="How many there are")
    task_types: list[ListedType] = Field(description="Those in the catalog")
    next: str | None = Field(
        default=None, description="Pass it as `page` for the next page; null at the end"
    )
    allowed_names: list[str] = Field(
        description="Celery names that may be started as task_type as well; * and ? "
        "are wild"
    )


class NameNumbers(BaseModel):
    """Numbers of the tasks of one name."""

    task_name: str = Field(description="Celery's name")
    task_type: TypeName = None
    count: int = Field(description="How many there were")
    statuses: dict[str, int] = Field(description="How many are in each status")
    failure_rate: float | None = Field(
        default=None,
        description="Failures among those that ended as success or failure, 0 to 1; "
        "null if none ended",
    )
    runtime_p50: float | None = Field(
        default=None, description="Median runtime in seconds"
    )
    runtime_p95: float | None = Field(
        default=None, description="95th percentile in seconds"
    )
    runtime_p99: float | None = Field(
        default=None, description="99th percentile in seconds"
    )


class TaskStats(BaseModel):
    """Numbers by task name."""

    since: str = Field(description="Tasks first heard of after this; RFC 3339, UTC")
    until: str = Field(description="RFC 3339, UTC")
    total: int = Field(description="How many tasks were looked at, or counted")
    sampled: bool = Field(
        description="Whether there were more, and only the newest were looked at"
    )
    total_names: int = Field(default=0, description="How many names there are")
    names: list[NameNumbers] = Field(description="The most frequent first")
    next: str | None = Field(
        default=None, description="Pass it as `page` for the next page; null at the end"
    )
    message: str = Field(
        default="", description="Says so if not all tasks were looked at"
    )
