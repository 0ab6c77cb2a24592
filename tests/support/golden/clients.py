"""Clients that write down each byte that they send and receive."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncGenerator, Callable
from typing import Any, cast

import httpx2
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.support.herald.server import Server
from tests.support.herald.uvicorn_server import TOKEN

WITHIN = 30.0
BEARER = {"Authorization": f"Bearer {TOKEN}"}

MASKS = (
    (re.compile(r'"node":"[^"]*"'), '"node":"NODE"'),
    (re.compile(r'"lag_ms":\d+'), '"lag_ms":MS'),
    (re.compile(r'"reconnect_in_ms":\d+'), '"reconnect_in_ms":MS'),
    (re.compile(r"^retry: ?\d+$"), "retry: MS"),
    # What a worker is depends on how long ago it was heard.
    (re.compile(r'"state":"(?:online|silent|offline|draining)"'), '"state":"STATE"'),
    (re.compile(r',"note":"(?:Silent|Offline)[^"]*"'), ""),
    # Whether an answer is called outdated depends on how long the test has run.
    (re.compile(r',"stale":\{[^}]*\}'), ""),
)


def mask(text: str) -> str:
    """Return `text` without what differs from run to run."""
    for pattern, instead in MASKS:
        text = pattern.sub(instead, text)
    return text


class RawSocket:
    """A WebSocket and its transcript: `C …` was sent, `S …` received.

    `status` frames are left out: when they come is no part of the contract.
    """

    def __init__(self, socket: ClientConnection) -> None:
        self.lines: list[str] = []
        self._socket = socket

    async def say(self, **message: Any) -> None:
        """Send a message."""
        text = json.dumps(message)
        self.lines.append(f"C {text}")
        await self._socket.send(text)

    async def receive(self) -> dict[str, Any]:
        """Return the next frame that is no `status`."""
        async with asyncio.timeout(WITHIN):
            while True:
                text = await self._socket.recv()
                assert isinstance(text, str)
                frame = cast("dict[str, Any]", json.loads(text))
                if frame["type"] != "status":
                    self.lines.append(f"S {mask(text)}")
                    return frame

    async def receive_until(self, type_: str, *keys: str) -> dict[str, Any]:
        """Receive up to a frame of `type_` that has all `keys`; return that."""
        while True:
            frame = await self.receive()
            if frame["type"] == type_ and all(key in frame for key in keys):
                return frame


@contextlib.asynccontextmanager
async def websocket(server: Server) -> AsyncGenerator[RawSocket]:
    """Connect, for the length of the block; the greeting is part of the transcript."""
    async with connect(
        server.ws,
        additional_headers=BEARER,
        subprotocols=[Subprotocol("herald.v1")],
        compression=None,
        proxy=None,
        close_timeout=1.0,
    ) as socket:
        client = RawSocket(socket)
        await client.receive_until("hello")
        yield client


class RawStream:
    """An event stream and its lines; comments and `status` events are left out."""

    def __init__(self, answer: httpx2.Response) -> None:
        self.lines: list[str] = []
        self._lines = answer.aiter_lines()

    async def receive_until(self, is_last: Callable[[str], bool]) -> None:
        """Receive up to an event of which `is_last` is true of a line."""
        async with asyncio.timeout(WITHIN):
            while not any(map(is_last, await self._event())):
                pass

    async def _event(self) -> list[str]:
        lines: list[str] = []
        async for line in self._lines:
            if not line:
                break
            if not line.startswith(":"):
                lines.append(mask(line))
        if "event: status" not in lines:
            self.lines += [*lines, ""]
        return lines


@contextlib.asynccontextmanager
async def event_stream(
    server: Server, query: str, **headers: str
) -> AsyncGenerator[RawStream]:
    """Open an event stream, for the length of the block."""
    async with (
        httpx2.AsyncClient(timeout=WITHIN, trust_env=False) as http,
        http.stream(
            "GET", f"{server.url}events?{query}", headers={**BEARER, **headers}
        ) as answer,
    ):
        assert answer.status_code == 200, await answer.aread()
        yield RawStream(answer)
