"""Requests about workers."""

from __future__ import annotations

from herald_client.models.answers import (
    Dismissed,
    WorkerDetail,
    WorkerHistory,
    WorkerList,
)
from herald_client.requests.request import Request, make_delete, make_get, make_post
from herald_core.model.orders import Order


def list_workers(after: str | None = None) -> Request[WorkerList]:
    """Return a page of the workers by hostname, from the one after `after` on."""
    return make_get("workers", answer=WorkerList, query={"after": after})


def get_worker(hostname: str) -> Request[WorkerDetail]:
    """Return a worker, and what it says of itself now."""
    return make_get("workers", hostname, answer=WorkerDetail)


def get_worker_history(
    hostname: str, at: str | None = None, window: float = 60.0
) -> Request[WorkerHistory]:
    """Return what a worker did around `at`: RFC 3339, or such as `02:13` in UTC.

    `window` is in seconds. Without `at` it is now.
    """
    query = {"at": at, "window": f"{window:g}"}
    return make_get("workers", hostname, "history", answer=WorkerHistory, query=query)


def order_worker(hostname: str, command: str, **parameters: object) -> Request[Order]:
    """Order a worker, such as `order_worker("celery@a", "pool_grow", n=2)`.

    Returns the order with its outcome, or as it is after 20 s.
    """
    body = {"command": command, **parameters}
    return make_post("workers", hostname, "orders", body=body, answer=Order)


def dismiss_worker(hostname: str) -> Request[Dismissed]:
    """Delete the record of a silent or offline worker before it expires."""
    return make_delete("workers", hostname, answer=Dismissed)
