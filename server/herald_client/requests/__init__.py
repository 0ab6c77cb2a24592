"""The requests of the REST API, without I/O: one function a route.

Both clients send what these return. A function takes what its caller gives, checks
what can be checked without a server, and returns a `Request`.
"""

from herald_client.requests import (
    alerts,
    failures,
    figures,
    groups,
    installation,
    marks,
    orders,
    queues,
    schedules,
    tasks,
    tokens,
    webhooks,
    workers,
)

__all__ = [
    "alerts",
    "failures",
    "figures",
    "groups",
    "installation",
    "marks",
    "orders",
    "queues",
    "schedules",
    "tasks",
    "tokens",
    "webhooks",
    "workers",
]
