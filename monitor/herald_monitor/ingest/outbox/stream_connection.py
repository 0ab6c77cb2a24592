"""One connection to the Redis of a stream: raw replies, each with a time limit."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any, TypeAlias, cast
from urllib.parse import urlsplit

import redis
from celery import Celery
from redis.exceptions import ResponseError

from herald_core.store.redis.connection.discovery import make_discovery
from herald_monitor.celery_client.broker.connection import (
    BROKER_TIMEOUT_S,
    connect_broker,
    drop_connection,
)
from herald_monitor.celery_client.broker.passive import without_side_effects
from herald_monitor.ingest.outbox.options import OutboxOptions

Word: TypeAlias = str | bytes | int
Reply: TypeAlias = Any

OWN_SCHEMES = frozenset({"redis", "rediss", "unix"})
"""URLs that redis-py reads itself; kombu reads the others that workers take."""


class RawRedisConnection:
    """Commands on one connection, for one thread.

    Any error but one of a command ends it: it is closed and thrown away.
    """

    def __init__(self, pool: Any, broker: Any = None) -> None:
        self._pool = pool
        self._broker = broker
        self._connection: Any = pool.get_connection()

    def execute(self, *words: Word) -> Reply:
        """Return the reply to a command. Raises `RedisError`, `OSError`."""
        reply = self.execute_many([words])[0]
        if isinstance(reply, Exception):
            raise reply
        return reply

    def execute_many(self, commands: Sequence[Sequence[Word]]) -> list[Reply]:
        """Return the replies to commands that are sent at once; an error is one.

        Raises `RedisError`, `OSError` if the connection is lost.
        """
        line = self._connection
        line.send_packed_command(line.pack_commands(commands))
        return [self._read_reply() for _ in commands]

    def execute_atomic(self, commands: Sequence[Sequence[Word]]) -> list[Reply]:
        """Return the replies to commands that are executed in one step."""
        replies = self.execute_many([("MULTI",), *commands, ("EXEC",)])
        for reply in (*replies[1:-1], replies[-1]):
            if isinstance(reply, Exception):
                raise reply
        return cast(list[Reply], replies[-1])

    def _read_reply(self) -> Reply:
        try:
            return self._connection.read_response(disable_decoding=True)
        except ResponseError as error:
            return error

    def close(self) -> None:
        """Close the connection; it raises nothing."""
        with contextlib.suppress(Exception):
            self._connection.disconnect()
            self._pool.disconnect()
        if self._broker is not None:
            drop_connection(self._broker)


def open_connection(
    app: Celery, options: OutboxOptions, stream: str
) -> RawRedisConnection:
    """Connect to the Redis that holds `stream`; of a cluster to the node of its slot.

    Raises an error of redis-py or kombu, `OSError`, `StoreError`.
    """
    if options.url is None:
        return _open_by_kombu(connect_broker(app))
    scheme = urlsplit(options.url).scheme
    if scheme.endswith(("+sentinel", "+cluster")):
        return _open_url(asyncio.run(make_discovery(options.url, stream).find()))
    if scheme in OWN_SCHEMES:
        return _open_url(options.url)
    connection = cast(Any, app).connection_for_read(
        options.url, connect_timeout=BROKER_TIMEOUT_S
    )
    return _open_by_kombu(without_side_effects(connection))


def _open_url(url: str) -> RawRedisConnection:
    return RawRedisConnection(
        redis.ConnectionPool.from_url(
            url,
            socket_timeout=BROKER_TIMEOUT_S,
            socket_connect_timeout=BROKER_TIMEOUT_S,
        )
    )


def _open_by_kombu(broker: Any) -> RawRedisConnection:
    try:
        return RawRedisConnection(broker.channel().pool, broker)
    except BaseException:
        drop_connection(broker)
        raise
