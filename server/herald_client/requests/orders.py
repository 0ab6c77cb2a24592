"""Requests for bulk orders: retry or cancel many tasks.

`selection` is `ids`, or `filter` and `query`, with `after` and `before`; options are
`per_second`, `spread_seconds`, `include_rerun`, `queue`.
"""

from __future__ import annotations

from herald_client.models.orders import OrderList, OrderPreview
from herald_client.requests.request import Request, make_get, make_post
from herald_core.model.orders import Order


def prepare(action: str, **selection: object) -> Request[OrderPreview]:
    """Return what a `retry` or `cancel` of the selected tasks would do."""
    body = {"action": action, **selection}
    return make_post("orders", body=body, answer=OrderPreview)


def confirm(action: str, expect: int, **selection: object) -> Request[Order]:
    """Carry out an order for exactly `expect` tasks.

    Raises `ServerProblem` of the code 409 if another number is selected.
    """
    body = {"action": action, "expect": expect, **selection}
    return make_post("orders", body=body, answer=Order)


def list_orders() -> Request[OrderList]:
    """Return the orders of the last days, newest first."""
    return make_get("orders", answer=OrderList)


def get(order_id: str) -> Request[Order]:
    """Return an order. Raises `ServerProblem` (404) if it is unknown."""
    return make_get("orders", order_id, answer=Order)


def stop(order_id: str) -> Request[Order]:
    """Stop an order before its next task."""
    return make_post("orders", order_id, "stop", answer=Order)
