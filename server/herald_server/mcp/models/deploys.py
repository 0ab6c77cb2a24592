"""Results of tools about marks, and about what became slower since one."""

from __future__ import annotations

from pydantic import BaseModel, Field


class MarkState(BaseModel):
    """A mark: a moment from which on something is different, such as a deploy."""

    id: str = Field(description="Give it as `mark` to compare with")
    at: str = Field(description="RFC 3339, UTC")
    kind: str = Field(
        description="deploy (somebody said so), release or software (seen by itself, "
        "as workers reported another version)"
    )
    what: str = Field(description="What it is, in a few words")
    version: str | None = Field(default=None, description="What runs from then on")
    before: str | None = Field(default=None, description="What ran until then")
    workers: int | None = Field(default=None, description="Workers that changed")
    until: str | None = Field(default=None, description="When the last of them did")
    who: str | None = Field(default=None, description="The token that set it")


class ListedMarks(BaseModel):
    """The marks of the last seven days."""

    total: int = Field(default=0, description="How many there are")
    marks: list[MarkState] = Field(description="Newest first")
    next: str | None = Field(
        default=None, description="Pass it as `page` for the next page; null at the end"
    )
    message: str = Field(default="", description="What this means")


class SideState(BaseModel):
    """Runs of one task name before or after a mark."""

    ended: int = Field(description="Runs that succeeded or failed")
    failed: int = Field(description="Runs that failed")
    runs: int = Field(description="Successful runs whose runtime is known")
    per_minute: float = Field(description="`ended` by the minute")
    failure_rate: float | None = Field(default=None, description="0 to 1")
    p50: float | None = Field(default=None, description="Median runtime, seconds, ±9 %")
    p95: float | None = Field(default=None, description="95th percentile, likewise")


class NameChange(BaseModel):
    """One task name before and after a mark."""

    name: str = Field(description="Celery's name of the tasks")
    runtime: str = Field(
        description="slower, faster, similar, or unknown (fewer than 20 runs on a side)"
    )
    failures: str = Field(description="more, fewer, similar or unknown")
    before: SideState
    after: SideState
    p50_ratio: float | None = Field(default=None, description="After by before")
    p95_ratio: float | None = Field(default=None, description="After by before")
    whole: bool = Field(
        default=True, description="False: too many names ran to count this one in full"
    )


class ComparedPeriod(BaseModel):
    """A time that is compared."""

    since: str = Field(description="RFC 3339, UTC")
    until: str = Field(description="RFC 3339, UTC")


class DeployComparison(BaseModel):
    """What became slower, or fails more often, since a mark."""

    mark: MarkState
    before: ComparedPeriod
    after: ComparedPeriod
    slower: list[NameChange] = Field(description="The worst first")
    failing_more: list[NameChange] = Field(description="The worst first")
    asked: NameChange | None = Field(
        default=None, description="The name that was asked for"
    )
    counts: dict[str, int] = Field(
        default_factory=dict[str, int], description="Names by the verdict on runtimes"
    )
    message: str = Field(description="What it shows, in a sentence")
