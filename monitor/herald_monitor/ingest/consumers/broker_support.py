"""The limitations of each kind of broker, in a sentence for each.

Celery's documentation ("Backends and Brokers") lists the transports with monitoring and
remote control. Our tests prove that all events arrive from RabbitMQ and Redis, with and
without Sentinels, and by the outbox whatever the broker is.
"""

from __future__ import annotations

from celery import Celery

from herald_monitor.celery_client.broker.transport import (
    get_transport_kind,
    get_transport_name,
    has_fanout,
)

FULLY_SUPPORTED = frozenset(["amqp", "redis", "sentinel"])
"""Kinds of brokers without limitations."""

ALTERNATIVES = (
    "use RabbitMQ (amqp://) or Redis (redis://, sentinel://), or let the workers write "
    "their events to a Redis: HERALD_OUTBOX_URL=redis://HOST/0, for Herald and for the "
    "workers, and celery -A PROJECT worker -I herald_worker.auto"
)

NO_CONTROL = (
    "events come by the outbox; {name} carries no remote control, so no task can be "
    "cancelled and no worker be asked"
)
"""What is missing although the outbox brings all events."""

LIMITATIONS = {
    "memory": "the broker memory:// lives within one process, so nothing of other "
    "processes is heard, neither tasks nor workers",
    "filesystem": "the broker filesystem:// is heard by looking into a folder about "
    "once a second, and how full its queues are cannot be seen",
}
NO_EVENTS = (
    "{name} carries neither events nor remote control: no worker is seen, no task can "
    "be cancelled, and of tasks only those are known that Herald sent, from the result "
    "backend"
)
OTHER_TRANSPORT_MESSAGE = (
    "{name} has no monitoring or remote control that Celery vouches for: workers may "
    "be unseen, cancels unheard, and tasks known from the result backend alone"
)


def describe_limitations(app: Celery, *, outbox: bool = False) -> str:
    """Return the limitations of `app`'s broker, and what to do; empty if there are
    none. `outbox`: Herald reads the events of workers from one.
    """
    kind, name = get_transport_kind(app), get_transport_name(app)
    if kind in FULLY_SUPPORTED:
        return ""
    if not has_fanout(app):
        if outbox:
            return NO_CONTROL.format(name=name)
        return f"{NO_EVENTS.format(name=name)}; {ALTERNATIVES}"
    if outbox:
        return ""
    said = LIMITATIONS.get(kind) or OTHER_TRANSPORT_MESSAGE.format(name=name)
    return f"{said}; {ALTERNATIVES}"
