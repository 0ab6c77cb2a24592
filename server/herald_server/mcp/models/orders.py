"""Results of tools about orders."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field


class PreparedOrder(BaseModel):
    """What an order would do."""

    action: str = Field(description="retry or cancel")
    count: int = Field(
        description="How many tasks are selected; pass it as `expect` to confirm"
    )
    acts_on: int = Field(description="How many of them are sent again or cancelled")
    skipped: dict[str, int] = Field(
        description="How many are not, by reason, such as not_resendable or ran_again"
    )
    by_name: dict[str, int] = Field(description="How many of each task name")
    by_state: dict[str, int] = Field(description="How many in each state")
    reasons: list[dict[str, Any]] = Field(
        description="Why some are skipped: `outcome`, `reason` and `count`"
    )
    examples: list[dict[str, Any]] = Field(description="Some of the tasks")
    selection: dict[str, Any] = Field(
        description="Pass its keys to confirm_bulk_order: it selects the same tasks"
    )
    needs_admin: bool = Field(
        default=False, description="Whether confirming needs a token of scope admin"
    )
    message: str = Field(description="What this means, and what to do next")


class OrderState(BaseModel):
    """An order and how far it is."""

    order_id: str = Field(description="Its id, for stop_order")
    kind: str = Field(description="What was ordered, such as bulk_retry")
    state: str = Field(description="running, done, stopped, failed or incomplete")
    target: str = Field(default="", description="What it is about")
    requested_at: str = Field(description="RFC 3339, UTC")
    ended_at: str | None = Field(default=None, description="RFC 3339, UTC")
    who: str = Field(description="The token that ordered it")
    details: dict[str, Any] = Field(
        default={},
        description="Figures of its kind: count, handled, outcomes, failures",
    )
    message: str = Field(default="", description="How far it is, in a sentence")


class ListedOrders(BaseModel):
    """The newest orders."""

    total: int = Field(default=0, description="How many there are")
    orders: list[OrderState] = Field(description="The orders, newest first")
    next: str | None = Field(
        default=None, description="Pass it as `page` for the next page; null at the end"
    )
