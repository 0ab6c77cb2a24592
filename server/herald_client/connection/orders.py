"""Bulk orders and purges, for the client."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from herald_client.connection.http import HttpClient
from herald_core.model.orders import Order

ORDERS_PATH = "api/v1/orders"


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


class OrderClient:
    """Prepares, confirms, lists and stops orders.

    `selection` is `ids`, or `filter` and `query`, with `after` and `before`; options
    are `per_second`, `spread_seconds`, `include_rerun`, `queue`.
    """

    def __init__(self, http: HttpClient) -> None:
        self._http = http

    async def prepare(self, action: str, **selection: object) -> OrderPreview:
        """Return what a `retry` or `cancel` of the selected tasks would do."""
        body = {"action": action, **selection}
        return await self._http.post(ORDERS_PATH, body, OrderPreview)

    async def confirm(self, action: str, expect: int, **selection: object) -> Order:
        """Carry out an order for exactly `expect` tasks.

        Raises `ServerProblem` of the code 409 if another number is selected.
        """
        body = {"action": action, "expect": expect, **selection}
        return await self._http.post(ORDERS_PATH, body, Order)

    async def list_newest(self) -> list[Order]:
        """Return the orders of the last days, newest first."""
        return (await self._http.get(ORDERS_PATH, OrderList)).orders

    async def get(self, order_id: str) -> Order:
        """Return an order. Raises `ServerProblem` (404) if it is unknown."""
        return await self._http.get(_make_path(order_id), Order)

    async def stop(self, order_id: str) -> Order:
        """Stop an order before its next task."""
        return await self._http.post(f"{_make_path(order_id)}/stop", {}, Order)

    async def purge(self, queue: str, expect_depth: int) -> Order:
        """Remove the messages that wait in `queue`, of which there are about so many.

        Raises `ServerProblem` of the code 409 if there are many more or fewer.
        """
        path = f"api/v1/queues/{quote(queue, safe='')}/purge"
        body: Mapping[str, object] = {"expect_depth": expect_depth}
        return await self._http.post(path, body, Order)


def _make_path(order_id: str) -> str:
    return f"{ORDERS_PATH}/{quote(order_id, safe='')}"
