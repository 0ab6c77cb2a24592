"""The connections to the store's Redis: raw replies, and errors as sentences."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias, cast
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import hiredis
import redis.asyncio as redis
from redis import exceptions
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff

from herald_monitor.errors import StoreError, StoreUnfit
from herald_monitor.heeding import heeded
from herald_monitor.idle_lines import IdleLines
from herald_monitor.redis_address import OwnerOfSlot, address_of
from herald_monitor.redis_errors import UnknownScript, told, unreachable

Word: TypeAlias = str | bytes | int | float
Reply: TypeAlias = Any
"""What Redis answers in RESP2: bytes, int, None, or a list of such."""

PATIENCE = 5.0
"""Seconds for an answer, and beyond the wait of a blocking read."""

MOST = 64
"""Connections of each of the two kinds."""


# Its stub says that a command is one word long.
_pack = cast(Callable[[tuple[Word, ...]], bytes], hiredis.pack_command)  # pyright: ignore[reportUnknownMemberType]


def without_password(url: str) -> str:
    """Return `url` as it may be shown."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    user = (parts.netloc.rpartition("@")[0]).partition(":")[0]
    shown = f"{user}@{host}" if user else host
    return (
        f"{parts.scheme}://{shown}{parts.path}" if parts.scheme else shown + parts.path
    )


MOVED = (
    exceptions.MovedError,
    exceptions.AskError,
    exceptions.ReadOnlyError,
    exceptions.MasterDownError,
    exceptions.ClusterDownError,
)
"""What says that another server is to be asked. It did nothing of what it refused."""


class Link:
    """Commands to one Redis, wherever it is. Connects with `open`.

    `prefix` is that of all keys: on a cluster it tells the node that has them.
    """

    def __init__(
        self, url: str, *, patience: float = PATIENCE, prefix: str = ""
    ) -> None:
        self.name = without_password(url)
        self._address = address_of(url, prefix)
        self._patience = patience
        self._finding = asyncio.Lock()
        self._moved = False
        self._client: redis.Redis | None = None
        self._waiting: redis.Redis | None = None
        self._idle: WeakKeyDictionary[Any, IdleLines[Any]] = WeakKeyDictionary()
        self._room: WeakKeyDictionary[Any, asyncio.Semaphore] = WeakKeyDictionary()

    @property
    def clustered(self) -> bool:
        """Whether its server is to be a node of a cluster."""
        return isinstance(self._address, OwnerOfSlot)

    async def open(self) -> None:
        """Find the server and make the clients; they connect with their first command.

        Raises `StoreError`.
        """
        if self._client is None:
            await self._go_to(await self._address.find())

    async def _go_to(self, url: str) -> None:
        old = (self._client, self._waiting)
        self._client = self._made(url, self._patience)
        # A blocking read waits longer than any answer may take.
        self._waiting = self._made(url, None)
        self._moved = False
        await _closed(old)

    async def _found(self) -> None:
        """Look where the server is now, if it is not where it was."""
        async with self._finding:
            if self._moved and self._client is not None:
                await self._go_to(await self._address.find())

    def _made(self, url: str, patience: float | None) -> redis.Redis:
        try:
            pool: Any = redis.BlockingConnectionPool.from_url(
                url,
                max_connections=MOST,
                timeout=self._patience,
                protocol=2,
                decode_responses=False,
                socket_timeout=patience,
                socket_connect_timeout=self._patience,
                # A Unix socket has no such option.
                **({} if url.startswith("unix:") else {"socket_keepalive": True}),
                # Writes compare and set, so that one may be sent twice.
                retry=Retry(ExponentialBackoff(cap=0.2, base=0.02), 2),
            )
        except ValueError as error:
            raise StoreUnfit(
                f"the store's URL {self.name!r} cannot be read ({error}); "
                "write redis://HOST:PORT/DB or unix:///PATH?db=N"
            ) from error
        return redis.Redis.from_pool(pool)

    async def close(self) -> None:
        """Let go of all connections."""
        clients, self._client, self._waiting = (self._client, self._waiting), None, None
        await _closed(clients)

    async def call(self, *words: Word) -> Reply:
        """Send one command. Raises `StoreUnreachable`, `StoreError`."""
        return (await self._sent([words]))[0]

    async def calls(
        self, commands: Sequence[Sequence[Word]], *, atomic: bool = False
    ) -> list[Reply]:
        """Send several commands at once; only if `atomic` in one step."""
        if not commands:
            return []
        if not atomic:
            return await self._sent(commands)
        step = [("MULTI",), *commands, ("EXEC",)]
        return cast(list[Reply], (await self._sent(step))[-1])

    async def script(self, sha: str, source: str, words: Sequence[Word]) -> Reply:
        """Run a script; bring it along if the server does not know it."""
        try:
            return (await self._sent([("EVALSHA", sha, *words)]))[0]
        except UnknownScript:
            return (await self._sent([("EVAL", source, *words)]))[0]

    async def wait(self, wait: float, *words: Word) -> Reply:
        """Send one command that may answer only after `wait` seconds."""
        # Not for ever: the line may be dead without anybody noticing.
        return (await self._sent([words], wait + self._patience))[0]

    async def _sent(
        self, commands: Sequence[Sequence[Word]], within: float | None = None
    ) -> list[Reply]:
        """Send `commands` to where the server is; once more if it is elsewhere now."""
        with self._errors():
            if self._moved:
                await self._found()
            try:
                return await self._tried(commands, within)
            except MOVED:
                if not self._address.moves:
                    raise
                # It did nothing of it: it is not the one to ask any more.
                self._moved = True
                await self._found()
                return await self._tried(commands, within)

    async def _tried(
        self, commands: Sequence[Sequence[Word]], within: float | None
    ) -> list[Reply]:
        if within is None:
            return await self._exchange(self._client, commands)
        async with asyncio.timeout(within):
            return await self._exchange(self._waiting, commands)

    async def _exchange(
        self, client: redis.Redis | None, commands: Sequence[Sequence[Word]]
    ) -> list[Reply]:
        """Send `commands` in one go and return the replies.

        Below the client of redis-py, which packs a batch in Python: that took as
        long as merging it.
        """
        with heeded():
            return await self._exchanged(client, commands)

    async def _exchanged(
        self, client: redis.Redis | None, commands: Sequence[Sequence[Word]]
    ) -> list[Reply]:
        pool: Any = self._open(client).connection_pool
        room = self._room.setdefault(pool, asyncio.Semaphore(MOST))
        # The pool never gets its lines back, so it cannot be waited for one.
        async with asyncio.timeout(self._patience if room.locked() else None):
            await room.acquire()
        try:
            return await self._over_a_line(pool, commands)
        finally:
            room.release()

    async def _over_a_line(
        self, pool: Any, commands: Sequence[Sequence[Word]]
    ) -> list[Reply]:
        packed = b"".join(_pack(tuple(words)) for words in commands)
        idle = self._idle.setdefault(pool, IdleLines())
        # The pool would look whether the line is sound, which takes as long as the
        # exchange. If it is not, that is found out here, and another is made.
        line = idle.take() or await pool.get_connection()

        async def once() -> list[Reply]:
            await line.send_packed_command(packed)
            return await _replies(line, len(commands))

        async def again(error: Exception) -> None:
            await line.disconnect(nowait=True)
            if not self._serves(pool):
                # Connected anew it would belong to nobody, or lead to who was left.
                raise error

        try:
            return cast(list[Reply], await line.retry.call_with_retry(once, again))
        except exceptions.ResponseError:
            raise
        except BaseException:
            # Half an answer may be on its way: the next must not read it.
            await line.disconnect(nowait=True)
            raise
        finally:
            if self._serves(pool):
                now = time.monotonic()
                idle.give(line, now)
                for cold in idle.cold(now):
                    await cold.disconnect(nowait=True)
            else:
                await line.disconnect(nowait=True)

    def _serves(self, pool: Any) -> bool:
        """Say whether `pool` has not been let go of meanwhile."""
        clients = (self._client, self._waiting)
        return any(one is not None and one.connection_pool is pool for one in clients)

    def _open(self, client: redis.Redis | None) -> redis.Redis:
        if client is None:
            raise StoreError(f"the store at {self.name} is not open; call open() first")
        return client

    @contextmanager
    def _errors(self) -> Generator[None]:
        try:
            yield
        except exceptions.NoScriptError as error:
            raise UnknownScript(str(error)) from error
        except exceptions.RedisError as error:
            self._doubt(error)
            raise told(error, self.name) from error
        except (OSError, TimeoutError) as error:
            self._doubt(error)
            raise unreachable(error, self.name) from error

    def _doubt(self, error: Exception) -> None:
        """Look again where the server is before the next command."""
        refused = isinstance(error, exceptions.ResponseError)
        if self._address.moves and (not refused or isinstance(error, MOVED)):
            self._moved = True


async def _closed(clients: Iterable[redis.Redis | None]) -> None:
    for client in clients:
        if client is not None:
            await client.aclose()


async def _replies(line: Any, number: int) -> list[Reply]:
    """Read as many replies; raise the first error among them only after the last."""
    replies: list[Reply] = []
    failed: exceptions.ResponseError | None = None
    for _ in range(number):
        try:
            replies.append(await line.read_response(disconnect_on_error=False))
        except exceptions.ResponseError as error:
            failed = failed or error
    if failed is not None:
        raise failed
    return replies
