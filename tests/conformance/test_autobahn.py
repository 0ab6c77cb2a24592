"""An outside fuzzer, Autobahn's, on our WebSocket and on the library below it.

It wants an echo, so our wire answers with what it hears. Found must be nothing
worse than in the bare library. Soak; the program `wstest` (PyPI: autobahntestsuite,
which needs Python 2.7) is taken from PATH or HERALD_TEST_WSTEST.
"""

import asyncio
import contextlib
import json
import os
import shutil
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket
from uvicorn.protocols.websockets.websockets_sansio_impl import (
    WebSocketsSansIOProtocol,
)

from herald_server.api.websocket import WebSocketTransport
from herald_server.push.connection.transport import TransportClosed
from herald_server.wiring.web_server.listening import format_url, listen
from herald_server.wiring.web_server.websocket import DirectWebSocketProtocol
from tests.support.herald.uvicorn_server import Quiet
from tests.support.wait import wait_until_async

pytestmark = [pytest.mark.anyio, pytest.mark.soak, pytest.mark.timeout(600)]

CASES = ["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*"]
"""All but those on speed (9) and on compression (12, 13), which is off."""

PASSED = ("OK", "INFORMATIONAL", "NON-STRICT")
"""Which of them is a matter of timing: whether what stands before a broken frame is
still answered."""

FAILED = ("WRONG CODE", "UNCLEAN", "FAILED")
"""From bad to worst."""


async def ours(scope: Scope, receive: Receive, send: Send) -> None:
    """Echo over the wire that our sessions use."""
    socket = WebSocket(scope, receive, send)
    await socket.accept()
    line = WebSocketTransport(socket)
    line.release_handshake()
    with contextlib.suppress(TransportClosed):
        while True:
            said = await line.receive()
            if isinstance(said, bytes):
                await socket.send_bytes(said)
            elif not line.try_send(said.encode()):
                await line.send(said.encode())


async def bare(scope: Scope, receive: Receive, send: Send) -> None:
    """Echo over ASGI and nothing else."""
    await receive()
    await send({"type": "websocket.accept"})
    while (said := await receive())["type"] == "websocket.receive":
        await send({**said, "type": "websocket.send"})


@contextlib.asynccontextmanager
async def echo(app: Any, protocol: Any) -> AsyncGenerator[str]:
    """Serve `app`; give its address."""
    bound = listen("127.0.0.1", 0)
    config = uvicorn.Config(
        app, log_config=None, lifespan="off", ws=protocol, ws_per_message_deflate=False
    )
    server = Quiet(config)
    running = asyncio.create_task(server.serve(sockets=[bound]))
    try:
        await wait_until_async(lambda: server.started)
        yield f"ws{format_url(bound).removeprefix('http')}"
    finally:
        server.should_exit = True
        await running
        bound.close()


async def fuzzed(wstest: str, ws: str, place: Path) -> dict[str, tuple[str, str]]:
    """Return for each case how the echo and how the close were graded."""
    spec: dict[str, Any] = {
        "outdir": str(place / "out"),
        "servers": [{"agent": "it", "url": ws}],
        "cases": CASES,
        "exclude-cases": [],
        "exclude-agent-cases": {},
    }
    place.mkdir()
    (place / "spec.json").write_text(json.dumps(spec))
    words = ("-m", "fuzzingclient", "-s", str(place / "spec.json"))
    process = await asyncio.create_subprocess_exec(
        wstest, *words, stdout=asyncio.subprocess.DEVNULL, cwd=place
    )
    assert await process.wait() == 0
    told = json.loads((place / "out" / "index.json").read_text())["it"]
    return {case: (one["behavior"], one["behaviorClose"]) for case, one in told.items()}


def worse(mine: tuple[str, str], theirs: tuple[str, str]) -> bool:
    """Say whether any grade of ours is behind theirs."""
    grades = dict.fromkeys(PASSED, 0) | {g: n for n, g in enumerate(FAILED, 1)}
    return any(grades[a] > grades[b] for a, b in zip(mine, theirs, strict=True))


async def test_autobahn_finds_nothing_worse_than_in_the_library(
    tmp_path: Path,
) -> None:
    wstest = os.environ.get("HERALD_TEST_WSTEST") or shutil.which("wstest")
    if not wstest:
        pytest.skip("there is no wstest; set HERALD_TEST_WSTEST")
    async with echo(bare, WebSocketsSansIOProtocol) as ws:
        theirs = await fuzzed(wstest, ws, tmp_path / "bare")
    async with echo(ours, DirectWebSocketProtocol) as ws:
        mine = await fuzzed(wstest, ws, tmp_path / "ours")
    assert len(mine) == len(theirs) > 200
    found = {c: (mine[c], theirs[c]) for c in mine if worse(mine[c], theirs[c])}
    assert not found
