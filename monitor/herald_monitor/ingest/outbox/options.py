"""Where the outbox is, and whether there can be one."""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import urlsplit

import msgspec
from celery import Celery

from herald_core.settings import DEFAULT_OUTBOX_KEEP
from herald_monitor.celery_client.broker.urls import mask_passwords
from herald_worker.outbox.stream_format import (
    DEFAULT_GROUP,
    DEFAULT_STREAM,
    get_stream_names,
)

BROKER_SCHEMES = frozenset({"redis", "rediss", "sentinel", "redis+socket"})
"""Brokers that can hold the streams: kombu makes the connection."""


class OutboxOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The streams that are read, on the broker unless a `url` is given.

    All monitors of one store share a consumer group, `group`. Entries that all groups
    have read stay for `keep` seconds.
    """

    url: str | None = None
    stream: str = DEFAULT_STREAM
    streams: int = 1
    group: str = DEFAULT_GROUP
    keep: float = DEFAULT_OUTBOX_KEEP

    def list_streams(self) -> tuple[str, ...]:
        """Return the names of the streams."""
        return get_stream_names(self.stream, self.streams)


def has_outbox(app: Celery, options: OutboxOptions) -> bool:
    """Return True if there is a Redis for the streams; connects to nothing."""
    return options.url is not None or get_broker_scheme(app) in BROKER_SCHEMES


def get_broker_scheme(app: Celery) -> str:
    """Return the scheme of the broker's URL, such as `redis` or `amqp`."""
    conf = cast(Any, app.conf)
    url = conf.broker_read_url or conf.broker_url or ""
    first = url if isinstance(url, str) else url[0]
    return urlsplit(first.split(";")[0]).scheme


def name_outbox(options: OutboxOptions, broker: str) -> str:
    """Return the address of the outbox for a sentence, without a password."""
    return mask_passwords(options.url) if options.url else broker
