"""Routing keys of RabbitMQ's native delayed delivery. Pure.

Celery publishes a task with an eta for quorum queues to the exchange of the highest
level. The routing key holds 28 bits of the delay in seconds, then the real routing key
(kombu/transport/native_delayed_delivery.py).
"""

from __future__ import annotations

import re

DELAY_BITS = 28

LEVELS = tuple(f"celery_delayed_{level}" for level in range(DELAY_BITS - 1, -1, -1))
"""The queues in which a message waits for its time, in the order of its way."""

_DELAY = re.compile(rf"(?:[01]\.){{{DELAY_BITS}}}(?=.)", re.DOTALL)


def is_delayed(routing_key: str) -> bool:
    """Return True if `routing_key` begins with the bits of a delay."""
    return routing_key[1:2] == "." and _DELAY.match(routing_key) is not None


def strip_delay(routing_key: str) -> str:
    """Return `routing_key` without the bits of a delay."""
    if routing_key[1:2] != ".":
        return routing_key
    return _DELAY.sub("", routing_key, count=1)
