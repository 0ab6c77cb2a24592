"""What a broker's transport carries, by its kind; connects to nothing.

Events and remote control are sent to all who listen, over a fanout exchange. Amazon SQS
and others deliver each message to one receiver only, so workers hear no command and
nobody hears their events.
"""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import urlsplit

from celery import Celery

TRANSPORT_ALIASES = {
    "amqps": "amqp",
    "pyamqp": "amqp",
    "librabbitmq": "amqp",
    "rediss": "redis",
    "sqlalchemy": "sqla",
}
"""Transports by other names."""

TRANSPORT_NAMES = {"sqs": "Amazon SQS"}
"""What people call a transport, if not by its scheme."""

NO_FANOUT = frozenset(
    [
        *("sqs", "sqla", "azureservicebus", "azurestoragequeues", "consul", "etcd"),
        *("zookeeper", "pyro", "kafka", "confluentkafka", "slmq"),
    ]
)
"""Transports of kombu that deliver each message to one receiver only
(`Transport.implements.exchange_type`)."""


def get_transport_kind(app: Celery) -> str:
    """Return the kind of the broker, such as `amqp` or `sqs`."""
    conf = cast(Any, app.conf)
    url = conf.broker_read_url or conf.broker_url or "amqp://"
    first = (url if isinstance(url, str) else url[0]).split(";")[0]
    scheme = conf.broker_transport or urlsplit(first).scheme or "amqp"
    name = str(scheme).lower().partition("+")[0]
    return TRANSPORT_ALIASES.get(name, name)


def get_transport_name(app: Celery) -> str:
    """Return what people call the kind of the broker."""
    kind = get_transport_kind(app)
    return TRANSPORT_NAMES.get(kind, f"the broker {kind}://")


def has_fanout(app: Celery) -> bool:
    """Return True if the broker carries events and remote control.

    Unknown transports do, until they prove otherwise.
    """
    return get_transport_kind(app) not in NO_FANOUT


def describe_missing_control(app: Celery) -> str:
    """Return why no worker can be sent a command; empty if they can."""
    if has_fanout(app):
        return ""
    return f"{get_transport_name(app)} carries no remote control to workers"
