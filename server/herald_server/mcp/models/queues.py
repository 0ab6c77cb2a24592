"""Results of tools about queues."""

from __future__ import annotations

from pydantic import BaseModel, Field


class QueueState(BaseModel):
    """A queue of the broker. What could not be measured is null, never 0."""

    name: str = Field(description="Its name")
    depth: int | None = Field(default=None, description="Messages that wait in it")
    unacked: int | None = Field(
        default=None, description="Messages given out and not confirmed yet"
    )
    oldest_age: float | None = Field(
        default=None, description="Seconds for which the oldest message waits"
    )
    at_least: bool = Field(
        default=False, description="Whether it may wait longer than `oldest_age`"
    )
    consumers: list[str] | None = Field(
        default=None,
        description="Workers that take from it; empty: certainly nobody; null or left "
        "out: unknown",
    )
    consumers_total: int | None = Field(
        default=None, description="How many consume it, if not all are named"
    )
    answered: int | None = Field(
        default=None,
        description="Workers that said what they consume, if some did not",
    )
    unanswered: int | None = Field(
        default=None, description="Living workers that did not, and may take from it"
    )
    in_per_minute: float | None = Field(
        default=None, description="Tasks that came, a minute"
    )
    out_per_minute: float | None = Field(
        default=None, description="Tasks that workers took, a minute"
    )
    drain_seconds: float | None = Field(
        default=None, description="Seconds until it is empty at that rate"
    )
    stranded: bool = Field(
        default=False, description="Whether messages wait and nobody takes them"
    )
    may_be_stranded: bool = Field(
        default=False,
        description="Whether messages wait, and only who did not answer may take them",
    )
    silent_consumers: list[str] = Field(
        default=[], description="Workers that took from it and do not answer now"
    )
    as_of: str = Field(description="RFC 3339, UTC")


class ListedQueues(BaseModel):
    """The queues of the broker."""

    total: int = Field(description="How many there are")
    queues: list[QueueState] = Field(
        description="Those first that nobody consumes, then the deepest"
    )
    next: str | None = Field(
        default=None, description="Pass it as `page` for the next page; null at the end"
    )
    message: str = Field(default="", description="What is wrong with them, if anything")
