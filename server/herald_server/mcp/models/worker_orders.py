"""Results of tools that describe workers, and give orders to them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field


class WorkerProfile(BaseModel):
    """A worker: what is known of it, what it says now, what it did at a time."""

    worker: dict[str, Any] = Field(
        description="state, pool, pid, release, queues, active_tasks, registered, "
        "settings and so on; keys of what it did not say are absent"
    )
    unanswered: list[str] = Field(description="Questions that it left open")
    history: dict[str, Any] | None = Field(
        default=None,
        description="With `at`: `runs` of tasks then, `changes` of its state, "
        "`whole` (whether all tasks were searched)",
    )
    message: str = Field(default="", description="What is not known, and why")


class OrderAnswer(BaseModel):
    """An order and its outcome."""

    order_id: str = Field(description="Its id")
    state: str = Field(
        description="verified (the worker shows it), not_verified, refused, no_answer; "
        "acknowledged or requested while it goes on"
    )
    message: str = Field(description="What came of it, in a sentence")
