"""Requests about queues."""

from __future__ import annotations

from herald_client.models.answers import QueueList
from herald_client.requests.request import Request, make_get, make_post
from herald_core.model.orders import Order


def list_queues() -> Request[QueueList]:
    """Return the queues as last measured, by name."""
    return make_get("queues", answer=QueueList)


def pause_queue(queue: str) -> Request[Order]:
    """Cancel the consumers of a queue everywhere, until it is resumed."""
    return make_post("queues", queue, "pause", answer=Order)


def resume_queue(queue: str) -> Request[Order]:
    """Add the consumers of a paused queue again."""
    return make_post("queues", queue, "resume", answer=Order)


def purge_queue(queue: str, expect_depth: int) -> Request[Order]:
    """Remove the messages that wait in `queue`, of which there are about so many.

    Raises `ServerProblem` of the code 409 if there are many more or fewer.
    """
    body = {"expect_depth": expect_depth}
    return make_post("queues", queue, "purge", body=body, answer=Order)
