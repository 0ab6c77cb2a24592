"""A subscription to a Redis result backend: own reading, redis-py's connecting.

redis-py's own pub/sub spends 15 µs on a message before anybody looks at it.
"""

from __future__ import annotations

import asyncio
from typing import Any, TypeAlias, cast

import hiredis
from redis.asyncio.connection import AbstractConnection

from herald_monitor.backend_link import PATIENCE
from herald_monitor.errors import HeraldError
from herald_monitor.heeding import heeded

Published: TypeAlias = tuple[bytes, bytes]
"""Channel and body."""

Reply: TypeAlias = list[Any] | bytes | hiredis.ReplyError

CHUNK = 256 * 1024
PING = b"*1\r\n$4\r\nPING\r\n"


class BackendRefusal(HeraldError):
    """The backend answered the subscription with an error."""


class BackendStream:
    """What is published on the channels of one pattern, over one connection."""

    def __init__(self, line: AbstractConnection) -> None:
        self._line = line
        self._replies: Any = hiredis.Reader()
        self._confirmed = False

    async def open(self, pattern: bytes) -> list[Published]:
        """Connect and subscribe; return what came right behind the confirmation."""
        async with asyncio.timeout(PATIENCE):
            with heeded():
                await cast(Any, self._line).connect()
                await self._line.send_command("PSUBSCRIBE", pattern, check_health=False)
            early: list[Published] = []
            while not self._confirmed:
                early += await self.read()
            return early

    async def read(self) -> list[Published]:
        """Wait for something and return it; nothing, if it was only a PONG."""
        chunk = await cast(Any, self._line)._reader.read(CHUNK)
        if not chunk:
            raise ConnectionResetError("the backend closed the connection")
        self._replies.feed(chunk)
        published: list[Published] = []
        while (reply := self._replies.gets()) is not False:
            self._sort_in(reply, published)
        return published

    def ping(self) -> None:
        """Ask for a sign of life; it comes as a message."""
        cast(Any, self._line)._writer.write(PING)

    async def close(self) -> None:
        """Drop the connection without a word: nobody may answer."""
        await self._line.disconnect(nowait=True)

    def _sort_in(self, reply: Reply, published: list[Published]) -> None:
        if isinstance(reply, hiredis.ReplyError):
            raise BackendRefusal(
                f"the result backend refused the subscription to results ({reply});"
                " allow the user PSUBSCRIBE on the channels celery-task-meta-*"
            )
        if not isinstance(reply, list):
            return
        if reply[0] == b"pmessage":
            published.append((reply[2], reply[3]))
        elif reply[0] == b"psubscribe":
            self._confirmed = True
