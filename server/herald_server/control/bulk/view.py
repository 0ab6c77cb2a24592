"""A bulk order as clients get it. Pure."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from herald_core.model.orders import Order
from herald_core.model.tasks.views import to_rfc3339
from herald_server.control.bulk.order import (
    MAX_FAILURES,
    ORDER_TAG,
    RETRY,
    UNCERTAIN,
    BulkOrder,
)
from herald_server.control.bulk.progress import OrderProgress

MAX_PUSHED_FAILURES: Final = 50
"""Failures in a pushed order: a document is bounded. A request returns all listed."""


def make_view(
    order: BulkOrder, progress: OrderProgress, limit: int = MAX_FAILURES
) -> Order:
    """Return an order with its progress, and up to `limit` of its failures."""
    at = to_rfc3339(progress.updated_at or order.created_at)
    details: dict[str, Any] = {
        "count": order.count,
        "handled": progress.handled,
        "outcomes": dict(sorted(progress.outcomes.items())),
        "failures": [msgspec.to_builtins(one) for one in progress.failures[:limit]],
        "unconfirmed": progress.unconfirmed_count,
        "per_second": order.per_second,
        "include_rerun": order.include_rerun,
        "selection": order.selection,
        "changed_at": at,
        **({"tag": ORDER_TAG + order.id} if order.action == RETRY else {}),
        **({"problem": progress.problem} if progress.problem else {}),
    }
    return Order(
        id=order.id,
        kind=f"bulk_{order.action}",
        state=progress.state,
        who=order.owner.name,
        requested_at=to_rfc3339(order.created_at),
        ended_at=at if progress.is_over else None,
        target=f"{order.count:,} tasks",
        message=describe_order(order, progress),
        details=details,
    )


def describe_order(order: BulkOrder, progress: OrderProgress) -> str:
    """Return the progress of an order as a sentence."""
    outcomes, handled = progress.outcomes, progress.handled
    counts = ", ".join(
        f"{number:,} {kind.replace('_', ' ')}"
        for kind, number in sorted(outcomes.items())
    )
    sentence = f"The bulk {order.action} is {progress.state}: {handled:,} of "
    sentence += f"{order.count:,} tasks handled" + (f" ({counts})." if counts else ".")
    if outcomes.get(UNCERTAIN):
        sentence += (
            f" Of {outcomes[UNCERTAIN]:,} nothing shows whether the broker has them:"
            " look at their new ids before you send them again."
        )
    return f"{sentence} {progress.problem}" if progress.problem else sentence
