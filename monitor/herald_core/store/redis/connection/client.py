"""The connections to the store's Redis: raw replies, and errors as sentences."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import cast
from urllib.parse import urlsplit

from redis import exceptions

from herald_core.errors import StoreError, StoreUnsupported
from herald_core.store.redis.connection.discovery import (
    ClusterDiscovery,
    make_discovery,
)
from herald_core.store.redis.connection.errors import (
    UnknownScript,
    to_store_error,
    to_unreachable,
)
from herald_core.store.redis.connection.pool import Connections, Reply, Word
from herald_core.system.cancellation import preserve_cancellation

REDIS_TIMEOUT_S = 5.0
"""Seconds for an answer, and beyond the wait of a blocking read."""


def mask_password(url: str) -> str:
    """Return `url` as it may be shown."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    user = (parts.netloc.rpartition("@")[0]).partition(":")[0]
    shown = f"{user}@{host}" if user else host
    return (
        f"{parts.scheme}://{shown}{parts.path}" if parts.scheme else shown + parts.path
    )


MOVED_ERRORS = (
    exceptions.MovedError,
    exceptions.AskError,
    exceptions.ReadOnlyError,
    exceptions.MasterDownError,
    exceptions.ClusterDownError,
)
"""Errors after which another server is looked up. A refused command had no effect."""


class RedisClient:
    """Commands to one Redis, wherever it is. Connects with `open`.

    `prefix` is that of all keys: on a cluster it decides the node.
    """

    def __init__(
        self, url: str, *, timeout_s: float = REDIS_TIMEOUT_S, prefix: str = ""
    ) -> None:
        self.name = mask_password(url)
        self._discovery = make_discovery(url, prefix)
        self._timeout_s = timeout_s
        self._finding = asyncio.Lock()
        self._may_have_moved = False
        self._client: Connections | None = None
        self._blocking_client: Connections | None = None

    @property
    def is_clustered(self) -> bool:
        """True if the server must be a node of a cluster."""
        return isinstance(self._discovery, ClusterDiscovery)

    async def open(self) -> None:
        """Find the server and make the clients; they connect with their first command.

        Raises `StoreError`.
        """
        if self._client is None:
            await self._use_server(await self._discovery.find())

    async def _use_server(self, url: str) -> None:
        old = (self._client, self._blocking_client)
        self._client = self._make_client(url, self._timeout_s)
        # A blocking read waits longer than any answer may take.
        self._blocking_client = self._make_client(url, None)
        self._may_have_moved = False
        await _close_clients(old)

    async def _rediscover(self) -> None:
        """Look where the server is now, if it is not where it was."""
        async with self._finding:
            if self._may_have_moved and self._client is not None:
                await self._use_server(await self._discovery.find())

    def _make_client(self, url: str, read_timeout_s: float | None) -> Connections:
        try:
            return Connections(url, self._timeout_s, read_timeout_s)
        except ValueError as error:
            raise StoreUnsupported(
                f"the store's URL {self.name!r} cannot be read ({error}); "
                "write redis://HOST:PORT/DB or unix:///PATH?db=N"
            ) from error

    async def close(self) -> None:
        """Close all connections."""
        clients, self._client, self._blocking_client = (
            (self._client, self._blocking_client),
            None,
            None,
        )
        await _close_clients(clients)

    async def execute(self, *words: Word) -> Reply:
        """Send one command. Raises `StoreUnreachable`, `StoreError`."""
        return (await self._send([words]))[0]

    async def execute_many(
        self, commands: Sequence[Sequence[Word]], *, atomic: bool = False
    ) -> list[Reply]:
        """Send several commands at once; only if `atomic` in one step."""
        if not commands:
            return []
        if not atomic:
            return await self._send(commands)
        step = [("MULTI",), *commands, ("EXEC",)]
        return cast(list[Reply], (await self._send(step))[-1])

    async def execute_script(
        self, sha: str, source: str, words: Sequence[Word]
    ) -> Reply:
        """Run a script; bring it along if the server does not know it."""
        try:
            return (await self._send([("EVALSHA", sha, *words)]))[0]
        except UnknownScript:
            return (await self._send([("EVAL", source, *words)]))[0]

    async def execute_blocking(self, wait: float, *words: Word) -> Reply:
        """Send one command that may answer only after `wait` seconds."""
        # The wait is bounded: the connection may be lost without an error.
        return (await self._send([words], wait + self._timeout_s))[0]

    async def _send(
        self, commands: Sequence[Sequence[Word]], timeout_s: float | None = None
    ) -> list[Reply]:
        """Send `commands` to where the server is; once more if it is elsewhere now.

        With `timeout_s` they may block until then.
        """
        is_retry = False
        while True:
            try:
                if self._may_have_moved:
                    await self._rediscover()
                client = self._client if timeout_s is None else self._blocking_client
                if client is None:
                    raise StoreError(
                        f"the store at {self.name} is not open; call open() first"
                    )
                async with asyncio.timeout(timeout_s):
                    with preserve_cancellation():
                        return await client.exchange(commands)
            except exceptions.NoScriptError as error:
                raise UnknownScript(str(error)) from error
            except exceptions.RedisError as error:
                self._expect_move(error)
                # The server executed no command: it is no longer the right one.
                is_refused = self._may_have_moved and isinstance(error, MOVED_ERRORS)
                if is_retry or not is_refused:
                    raise to_store_error(error, self.name) from error
                is_retry = True
            except (OSError, TimeoutError) as error:
                self._expect_move(error)
                raise to_unreachable(error, self.name) from error

    def _expect_move(self, error: Exception) -> None:
        """Look again where the server is before the next command."""
        refused = isinstance(error, exceptions.ResponseError)
        if self._discovery.can_move and (
            not refused or isinstance(error, MOVED_ERRORS)
        ):
            self._may_have_moved = True


async def _close_clients(clients: Iterable[Connections | None]) -> None:
    for client in clients:
        if client is not None:
            await client.close()
