"""Wrong tokens, wrong places and servers that are down get a sentence."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing

import pytest

from herald_client import (
    AccessRefused,
    Herald,
    ServerProblem,
    Unreachable,
)
from tests.support.herald.memory_server import TOKEN, LiveServer, live_server

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def shared() -> Iterator[LiveServer]:
    """A server for tests that do not count tasks."""
    with live_server() as server:
        yield server


Use = Callable[[Herald], Awaitable[object]]


async def watch_once(herald: Herald) -> object:
    """Use the channel."""
    async with aclosing(herald.watch().__aiter__()) as changes:
        return await anext(changes)


DOORS = [watch_once, Herald.stats]


@pytest.mark.parametrize("use", DOORS)
@pytest.mark.parametrize(
    ("token", "sentence"),
    [("wrong", "does not know this token"), (None, "needs a token")],
)
async def test_wrong_token_is_refused_at_once(
    shared: LiveServer,
    monkeypatch: pytest.MonkeyPatch,
    use: Use,
    token: str | None,
    sentence: str,
) -> None:
    monkeypatch.delenv("HERALD_TOKEN", raising=False)
    async with Herald(shared.url, token) as herald, asyncio.timeout(30):
        with pytest.raises(AccessRefused, match=sentence) as raised:
            await use(herald)
    assert raised.value.code in (401, 4401)
    assert "HERALD_TOKEN" in str(raised.value)


@pytest.mark.parametrize("use", DOORS)
async def test_server_that_is_down_is_said(use: Use) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # and does not listen
        url = f"http://127.0.0.1:{held.getsockname()[1]}/"
        async with Herald(url, TOKEN) as herald:
            with pytest.raises(Unreachable, match=r"\(connection refused\)") as raised:
                await use(herald)
    assert url in str(raised.value)


@pytest.mark.parametrize("use", DOORS)
@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-OpenSSH_9.2\r\n\r\n"])
async def test_what_is_no_herald_is_said(use: Use, answer: bytes) -> None:
    async def greet(_: asyncio.StreamReader, line: asyncio.StreamWriter) -> None:
        line.write(answer)
        line.close()

    strange = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with strange:
        port = strange.sockets[0].getsockname()[1]
        async with Herald(f"http://127.0.0.1:{port}/", TOKEN) as herald:
            with pytest.raises(Unreachable, match="no Herald answers"):
                await use(herald)


@pytest.mark.parametrize("use", DOORS)
async def test_wrong_path_is_said(shared: LiveServer, use: Use) -> None:
    async with Herald(shared.url + "elsewhere/", TOKEN) as herald:
        with pytest.raises((ServerProblem, AccessRefused), match="elsewhere"):
            await use(herald)
