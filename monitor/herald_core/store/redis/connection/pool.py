"""The connections to one Redis server, below the client of redis-py.

redis-py's client packs a batch of commands in Python, and checks a connection before
each exchange. Each takes as long as the exchange itself.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Generic, TypeAlias, TypeVar, cast

import hiredis
import redis.asyncio as redis
from redis import exceptions
from redis._parsers.hiredis import NOT_ENOUGH_DATA
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff

Word: TypeAlias = str | bytes | int | float
Reply: TypeAlias = Any
"""A reply of Redis in RESP2: bytes, int, None, or a list of such."""

MAX_CONNECTIONS = 64
"""Connections of one kind to one server."""

IDLE_S = 5.0
"""Seconds after which a connection that is not used is closed."""

ConnectionT = TypeVar("ConnectionT")


# Its stub declares that a command is one word long.
_pack = cast(Callable[[tuple[Word, ...]], bytes], hiredis.pack_command)  # pyright: ignore[reportUnknownMemberType]


class IdleConnections(Generic[ConnectionT]):
    """A stack: the connection used last is used next, so that the others become idle.

    Closed connections stay in it; they reconnect when they are used. Times are
    monotonic seconds.
    """

    __slots__ = ("_closed", "_connections")

    def __init__(self) -> None:
        self._connections: list[tuple[ConnectionT, float]] = []
        self._closed = 0
        """The number of closed connections among the first."""

    def take(self) -> ConnectionT | None:
        """Return the connection that was used last; None if there is none."""
        if not self._connections:
            return None
        connection, _ = self._connections.pop()
        self._closed = min(self._closed, len(self._connections))
        return connection

    def give(self, connection: ConnectionT, now: float) -> list[ConnectionT]:
        """Take back a connection used until `now`; return those to close, once."""
        self._connections.append((connection, now))
        idle: list[ConnectionT] = []
        for connection, used_at in self._connections[self._closed :]:
            if used_at > now - IDLE_S:
                break
            idle.append(connection)
        self._closed += len(idle)
        return idle


class Connections:
    """The connections to the server at `url`. They connect when they are first used.

    An answer may take `read_timeout` seconds (None: for ever), and a connection
    `timeout` seconds to be made. Raises `ValueError` if `url` cannot be read.
    """

    def __init__(self, url: str, timeout: float, read_timeout: float | None) -> None:
        pool: Any = redis.BlockingConnectionPool.from_url(
            url,
            max_connections=MAX_CONNECTIONS,
            timeout=timeout,
            protocol=2,
            decode_responses=False,
            # redis-py would write in a task of its own, to end it after a time.
            socket_timeout=None,
            socket_connect_timeout=timeout,
            # A Unix socket has no such option.
            **({} if url.startswith("unix:") else {"socket_keepalive": True}),
            # Writes compare and set, so that one may be sent twice.
            retry=Retry(ExponentialBackoff(cap=0.2, base=0.02), 2),
        )
        self._pool = pool
        self._client = redis.Redis.from_pool(pool)
        self._timeout = timeout
        self._read_timeout = read_timeout
        # The pool never gets its connections back, so it cannot be waited for one.
        self._slots = asyncio.Semaphore(MAX_CONNECTIONS)
        self._idle: IdleConnections[Any] = IdleConnections()
        self._closed = False

    async def exchange(self, commands: Sequence[Sequence[Word]]) -> list[Reply]:
        """Send `commands` in one go and return the replies."""
        packed = b"".join(_pack(tuple(words)) for words in commands)
        async with asyncio.timeout(self._timeout if self._slots.locked() else None):
            await self._slots.acquire()
        connection: Any = None
        try:
            # A broken connection fails, and reconnects.
            connection = self._idle.take() or await self._pool.get_connection()
            replies: list[Reply] = await connection.retry.call_with_retry(
                partial(
                    _send_packed, connection, packed, len(commands), self._read_timeout
                ),
                partial(self._disconnect, connection),
            )
            return replies
        except exceptions.ResponseError:
            raise
        except BaseException:
            # Half an answer may be on its way: the next must not read it.
            if connection is not None:
                await connection.disconnect(nowait=True)
            raise
        finally:
            self._slots.release()
            if connection is not None:
                now = time.monotonic()
                idle = (
                    [connection] if self._closed else self._idle.give(connection, now)
                )
                for one in idle:
                    await one.disconnect(nowait=True)

    async def _disconnect(self, connection: Any, error: Exception) -> None:
        """Let `connection` reconnect after `error`."""
        await connection.disconnect(nowait=True)
        if self._closed:
            # A reconnect here would belong to no caller, or reach the previous server.
            raise error

    async def close(self) -> None:
        """Close all connections; those in use are closed after their exchange."""
        self._closed = True
        await self._client.aclose()


async def _send_packed(
    connection: Any, packed: bytes, count: int, read_timeout: float | None
) -> list[Reply]:
    """Send `count` commands, and return their replies.

    The first error is raised after the last reply: the next exchange starts there.
    Raises `exceptions.TimeoutError` if a reply takes longer than `read_timeout` seconds
    (None: never).
    """
    loop = asyncio.get_running_loop()
    replies: list[Reply] = []
    try:
        async with asyncio.timeout(read_timeout) as deadline:
            await connection.send_packed_command(packed)
            while len(replies) < count:
                replies += await _read_replies(connection, count - len(replies))
                if read_timeout is not None and len(replies) < count:
                    deadline.reschedule(loop.time() + read_timeout)
    except TimeoutError as error:
        raise exceptions.TimeoutError("no reply in time") from error
    for reply in replies:
        if isinstance(reply, Exception):
            raise reply
    return replies


async def _read_replies(connection: Any, limit: int) -> list[Reply]:
    """Wait for a reply; return it with those that arrived with it, up to `limit`."""
    reply: Reply
    try:
        reply = await connection.read_response(disconnect_on_error=False)
    except exceptions.ResponseError as error:
        reply = error
    return [reply, *_list_received(connection, limit - 1)]


def _list_received(connection: Any, limit: int) -> list[Reply]:
    """Return the replies that have arrived with the last one, up to `limit`.

    `read_response` takes longer than a short reply.
    """
    received: list[Reply] = []
    reader = connection._parser._reader
    while reader is not None and len(received) < limit:
        reply = reader.gets()
        if reply is NOT_ENOUGH_DATA:
            break
        received.append(reply)
    return received
