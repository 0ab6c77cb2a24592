"""Connects to the Redis that holds the stream: a URL of its own, or the broker."""

from __future__ import annotations

import contextlib
from typing import Any, cast
from urllib.parse import urlsplit

import redis
from celery import Celery
from redis.backoff import NoBackoff
from redis.retry import Retry

from herald_worker.outbox.server_groups import (
    open_cluster_client,
    open_sentinel_client,
)
from herald_worker.outbox.settings import OutboxSettings

CONNECT_TIMEOUT_S = 3.0
ANSWER_TIMEOUT_S = 5.0
"""Seconds for an answer; a Redis that is frozen or unreachable is noticed after it."""

OWN_SCHEMES = frozenset({"redis", "rediss", "unix"})
CLUSTER_SCHEMES = frozenset({"redis+cluster", "rediss+cluster"})
SENTINEL_SCHEMES = frozenset({"redis+sentinel", "rediss+sentinel"})
BROKER_SCHEMES = frozenset({"sentinel", "redis+socket"})
"""Schemes of kombu: it makes the client, with the options of the broker."""


def find_problem(app: Celery, settings: OutboxSettings) -> str | None:
    """Return why no stream can be written, and what to set; None if one can."""
    if settings.url is None:
        kind = _get_broker_kind(app)
        if kind == "redis":
            return None
        return f"Herald's outbox needs a Redis, and the broker ({kind}) is none: {_DO}"
    scheme = urlsplit(settings.url).scheme
    if scheme in OWN_SCHEMES | CLUSTER_SCHEMES | SENTINEL_SCHEMES | BROKER_SCHEMES:
        return None
    return f"HERALD_OUTBOX_URL needs a Redis, and {scheme or 'this'} is none: {_DO}"


_DO = (
    "Celery's own events are sent instead. Set HERALD_OUTBOX_URL to a Redis, for "
    "example redis://HOST:6379/0."
)


def _get_broker_kind(app: Celery) -> str:
    try:
        return str(cast(Any, app).connection_for_write().transport.driver_type)
    except Exception as error:
        # A transport whose library is missing, for example.
        return str(error)


def describe_target(settings: OutboxSettings) -> str:
    """Return the place of the stream, for people; without a password."""
    if settings.url is None:
        return "the broker"
    parts = urlsplit(settings.url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def describe_error(error: object) -> str:
    """Return what an error of redis-py or kombu means, for people."""
    text = str(error) or type(error).__name__
    # The answer to the first command of a connection without a password.
    if isinstance(error, redis.AuthenticationError) or text.startswith("HELLO must"):
        return "the password is missing or wrong. Set it in the URL"
    return text.rstrip(".")


class StreamConnection:
    """A client of redis-py, whose connections are closed with it."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def close(self) -> None:
        """Close the connections; errors do not matter any more."""
        with contextlib.suppress(Exception):
            self.client.close()
        # The client leaves a pool alone that it was given.
        pool = getattr(self.client, "connection_pool", None)
        if pool is not None:
            with contextlib.suppress(Exception):
                pool.disconnect()


def connect(app: Celery, settings: OutboxSettings) -> StreamConnection:
    """Return a connection to the Redis of the stream; raise what it raises."""
    scheme = urlsplit(settings.url).scheme if settings.url else None
    if settings.url and scheme in CLUSTER_SCHEMES:
        return StreamConnection(open_cluster_client(settings.url, TIMEOUTS))
    if settings.url and scheme in SENTINEL_SCHEMES:
        return StreamConnection(open_sentinel_client(settings.url, TIMEOUTS))
    if settings.url and scheme in OWN_SCHEMES:
        return StreamConnection(redis.Redis.from_url(settings.url, **TIMEOUTS))
    return _connect_by_kombu(app, settings.url)


TIMEOUTS: dict[str, Any] = {
    "socket_timeout": ANSWER_TIMEOUT_S,
    "socket_connect_timeout": CONNECT_TIMEOUT_S,
    "socket_keepalive": True,
    # The writer itself retries.
    "retry": Retry(NoBackoff(), 0),
}


def _connect_by_kombu(app: Celery, url: str | None) -> StreamConnection:
    """Let kombu make the client, so that its options of TLS, Sentinel … hold."""
    options = {
        **cast(Any, app).conf.broker_transport_options,
        "socket_timeout": ANSWER_TIMEOUT_S,
        "socket_connect_timeout": CONNECT_TIMEOUT_S,
    }
    owner = cast(Any, app).connection_for_write(url, transport_options=options)
    try:
        owner.connect()
        channel = owner.channel()
        # kombu closes the pool of a channel in each forked child, which waits for ever
        # if our thread held the pool's lock at that moment. So no channel keeps it.
        # (kombu/transport/redis.py: _after_fork_cleanup_channel)
        pool, channel._pool = channel.pool, None
    finally:
        owner.release()
    return StreamConnection(redis.Redis(connection_pool=pool))
