"""The steps of an order to a worker, from its request to its outcome. Pure.

requested → acknowledged → verified | not_verified
requested → verified | not_verified | refused | no_answer
no_answer → verified, if the worker carries it out later
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from herald_core.model.orders import Order
from herald_core.model.tasks.views import from_rfc3339, to_rfc3339
from herald_core.model.workers.worker import WorkerView
from herald_server.control.workers.commands import PARAMETERS, SHUTDOWN, WorkerCommand
from herald_server.control.workers.evidence import Evidence
from herald_server.control.workers.outcomes import (
    ACKNOWLEDGED,
    NO_ANSWER,
    NOT_VERIFIED,
    REFUSED,
    REQUESTED,
    VERIFIED,
    Boot,
    Verdict,
)

NEXT_STATES: Mapping[str, frozenset[str]] = {
    REQUESTED: frozenset([ACKNOWLEDGED, VERIFIED, NOT_VERIFIED, REFUSED, NO_ANSWER]),
    ACKNOWLEDGED: frozenset([VERIFIED, NOT_VERIFIED]),
    NO_ANSWER: frozenset([VERIFIED]),
}

ORDERED_KINDS = frozenset(PARAMETERS)
"""The kinds of orders that are orders to one worker."""

FINAL_STATES = frozenset([VERIFIED, NOT_VERIFIED, REFUSED, NO_ANSWER])


def make_order(
    order_id: str, command: WorkerCommand, hostname: str, who: str, now: float
) -> Order:
    """Return a requested order; `now` is in unix seconds."""
    return Order(
        id=order_id,
        kind=command.name,
        state=REQUESTED,
        who=who,
        requested_at=to_rfc3339(now),
        target=hostname,
        details={"arguments": dict(command.arguments)} if command.arguments else {},
    )


def advance(order: Order, verdict: Verdict, now: float) -> Order:
    """Return `order` in the state of `verdict`. Raises `ValueError` if it cannot be."""
    if verdict.state not in NEXT_STATES.get(order.state, frozenset()):
        raise ValueError(f"an order that is {order.state} cannot be {verdict.state}")
    ended = to_rfc3339(now) if verdict.state in FINAL_STATES else None
    return msgspec.structs.replace(
        order, state=verdict.state, message=verdict.message, ended_at=ended
    )


def remember(order: Order, before: Evidence) -> Order:
    """Return `order` with what the worker said before it was sent."""
    details = {**order.details, "before": msgspec.to_builtins(before)}
    return msgspec.structs.replace(order, details=details)


def remember_boot(order: Order, worker: WorkerView) -> Order:
    """Return `order` with the process of `worker` to which it applies."""
    boot = {"pid": worker.pid, "started_at": worker.started_at}
    return msgspec.structs.replace(order, details={**order.details, "boot": boot})


def read_boot(order: Order) -> Boot:
    """Return the process to which a stored order applies."""
    boot = order.details.get("boot", {})
    return boot.get("pid"), boot.get("started_at")


def read_command(order: Order) -> tuple[WorkerCommand, Evidence]:
    """Return the command of a stored order, and what the worker said before."""
    before = msgspec.convert(order.details.get("before", {}), Evidence)
    return WorkerCommand(order.kind, order.details.get("arguments", {})), before


def is_overdue(order: Order, now: float, seconds: float) -> bool:
    """Return True if `order` goes on for more than `seconds`."""
    return not order.is_ended and now - from_rfc3339(order.requested_at) > seconds


def is_unread_shutdown(order: Order, now: float, seconds: float) -> bool:
    """Return True if a worker may still obey a shutdown that it has not answered."""
    return (
        order.kind == SHUTDOWN
        and order.state == NO_ANSWER
        and "boot" in order.details
        and now - from_rfc3339(order.requested_at) <= seconds
    )
