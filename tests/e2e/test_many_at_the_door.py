"""Very many connections that come at once: taken a few at a time, and none refused."""

import asyncio
import socket
import struct
import sys
from pathlib import Path
from typing import Any

import pytest

from herald_server.wiring.settings import ServerSettings
from herald_server.wiring.web_server.listening import listen
from herald_server.wiring.web_server.server import (
    ACCEPT_BATCH,
    BACKLOG_CONNECTIONS,
    serve,
)
from tests.support.servers.redis import PrivateValkey

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="how Linux tells of it"),
]


def may_wait(bound: socket.socket) -> int:
    """Return how many connections may wait to be taken (`tcpi_sacked`)."""
    info = bound.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    return int(struct.unpack_from("I", info, 28)[0])


async def test_few_are_taken_at_once_and_many_may_wait(
    module_valkey: PrivateValkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, told = asyncio.get_running_loop(), list[int]()
    create = loop.create_server

    async def noting(*args: Any, backlog: int, **options: Any) -> Any:
        told.append(backlog)
        return await create(*args, backlog=backlog, **options)

    monkeypatch.setattr(loop, "create_server", noting)
    settings = ServerSettings(token="a-token-for-tests", store_url=module_valkey.url)
    stop, ready = asyncio.Event(), asyncio.Event()
    bound = listen("127.0.0.1", 0)
    running = asyncio.create_task(
        serve(settings, None, bound, stop, lambda _: ready.set())
    )
    try:
        async with asyncio.timeout(30):
            await ready.wait()
        most = int(Path("/proc/sys/net/core/somaxconn").read_text())
        # asyncio takes so many before others have a turn.
        assert told == [ACCEPT_BATCH]
        assert may_wait(bound) == min(BACKLOG_CONNECTIONS, most)
    finally:
        stop.set()
        await running
