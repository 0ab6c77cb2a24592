"""What a broker can carry of that which Herald lives on: a sentence for each kind.

Celery's documentation ("Backends and Brokers") says which transports have monitoring
and remote control; that RabbitMQ and Redis, alone or behind Sentinels, are heard
whole is what our tests hold.
"""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import urlsplit

from celery import Celery

WHOLE = frozenset(["amqp", "redis", "sentinel"])
"""Kinds of brokers that Herald hears whole."""

KINDS = {
    "amqps": "amqp",
    "pyamqp": "amqp",
    "librabbitmq": "amqp",
    "rediss": "redis",
    "sqlalchemy": "sqla",
}
"""Transports by other names."""

INSTEAD = "use RabbitMQ (amqp://) or Redis (redis://, sentinel://)"

SHORTCOMINGS = {
    "memory": "the broker memory:// lives within one process, so nothing of other "
    "processes is heard, neither tasks nor workers",
    "filesystem": "the broker filesystem:// is heard by looking into a folder about "
    "once a second, and how full its queues are cannot be seen",
    "sqs": "Amazon SQS carries neither events nor remote control: no worker is seen, "
    "no task can be cancelled, and of tasks only those are known that Herald sent, "
    "from the result backend",
}
OTHERS = (
    "the broker {kind}:// has no monitoring or remote control that Celery vouches for: "
    "workers may be unseen, cancels unheard, and tasks known from the result backend "
    "alone"
)


def kind_of(app: Celery) -> str:
    """Return the kind of the broker, such as `amqp` or `sqs`; connects to nothing."""
    conf = cast(Any, app.conf)
    url = conf.broker_read_url or conf.broker_url or "amqp://"
    first = (url if isinstance(url, str) else url[0]).split(";")[0]
    scheme = conf.broker_transport or urlsplit(first).scheme or "amqp"
    name = str(scheme).lower().partition("+")[0]
    return KINDS.get(name, name)


def shortcomings(app: Celery) -> str:
    """Return what `app`'s broker cannot give, and what to do; empty if nothing."""
    kind = kind_of(app)
    if kind in WHOLE:
        return ""
    said = SHORTCOMINGS.get(kind) or OTHERS.format(kind=kind)
    return f"{said}; {INSTEAD}"
