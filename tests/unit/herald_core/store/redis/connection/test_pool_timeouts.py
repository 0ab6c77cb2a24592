"""How long a reply may take, and what follows when it takes longer."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import pytest
from redis import exceptions

from herald_core.store.redis.connection.pool import Connections

pytestmark = pytest.mark.anyio

TIMEOUT_S = 0.2

Answer = Callable[[int, asyncio.StreamWriter], None]
"""Called with the number of each PING of a connection, from 1."""


@asynccontextmanager
async def serving(answer: Answer) -> AsyncGenerator[str]:
    """Run a server that accepts all commands, and answers PING as `answer` does."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pings = 0
        while line := await reader.readline():
            if line in (b"CLIENT\r\n", b"SELECT\r\n", b"HELLO\r\n"):
                writer.write(b"+OK\r\n")
            if line == b"PING\r\n":
                pings += 1
                answer(pings, writer)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"


async def test_a_reply_that_does_not_come_is_an_error_after_the_tries() -> None:
    pings: list[int] = []
    async with serving(lambda number, _: pings.append(number)) as url:
        line = Connections(url, TIMEOUT_S, TIMEOUT_S)
        with pytest.raises(exceptions.TimeoutError):
            await line.exchange([("PING",)])
        await line.close()
    assert pings == [1, 1, 1], "each try has a connection of its own"


async def test_the_time_is_that_of_one_reply_not_of_all() -> None:
    def slowly(number: int, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(number * 0.4, writer.write, b"+PONG\r\n")

    async with serving(slowly) as url:
        line = Connections(url, 5.0, 1.0)
        assert await line.exchange([("PING",)] * 4) == [b"PONG"] * 4
        await line.close()


async def test_without_a_timeout_a_reply_is_waited_for() -> None:
    def late(number: int, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(3 * TIMEOUT_S, writer.write, b"+PONG\r\n")

    async with serving(late) as url:
        line = Connections(url, TIMEOUT_S, None)
        assert await line.exchange([("PING",)]) == [b"PONG"]
        await line.close()
