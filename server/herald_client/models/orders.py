"""What the server answers about bulk orders."""

from __future__ import annotations

from typing import Any

import msgspec

from herald_core.model.orders import Order


class OrderPreview(msgspec.Struct, frozen=True, kw_only=True):
    """What an order would do. `selection` selects the same tasks again.

    Of `count` selected tasks `acts_on` are sent again or cancelled; `skipped` counts
    the others by the reason, and `ran_again` those with a rerun.
    """

    action: str
    count: int
    acts_on: int
    message: str
    skipped: dict[str, int] = {}
    ran_again: int = 0
    not_resendable: int = 0
    by_name: dict[str, int] = {}
    by_state: dict[str, int] = {}
    examples: list[dict[str, Any]] = []
    reasons: list[dict[str, Any]] = []
    needs_admin: bool = False
    per_second: float | None = None
    seconds: float | None = None
    selection: dict[str, Any] = {}


class OrderList(msgspec.Struct, frozen=True):
    """The newest orders."""

    orders: list[Order]
