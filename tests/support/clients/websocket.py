"""WebSocket clients that record what they receive."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import time
from collections.abc import AsyncGenerator
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.support.herald.server import Server
from tests.support.herald.uvicorn_server import TOKEN, WITHIN
from tests.support.journal import Journal
from tests.support.wait import wait_until_async


def coded(token: str) -> str:
    """Return the subprotocol in which a browser sends `token`."""
    raw = base64.urlsafe_b64encode(token.encode()).decode()
    return "bearer." + raw.rstrip("=")


@contextlib.asynccontextmanager
async def connected(
    server: Server | str, token: str | None = TOKEN, **options: Any
) -> AsyncGenerator[Listener]:
    """Connect with `token` in the header, for the length of the block."""
    url = server if isinstance(server, str) else server.ws
    headers = dict(options.pop("additional_headers", {}))
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    options.setdefault("subprotocols", [Subprotocol("herald.v1")])
    async with connect(
        url,
        additional_headers=headers,
        compression=None,
        proxy=None,
        close_timeout=1.0,
        **options,
    ) as socket:
        listener = Listener(socket)
        try:
            yield listener
        finally:
            await listener.stop()


class Listener:
    """A client: all frames that it hears, and what it makes of them."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.frames: list[dict[str, Any]] = []
        self.journals: dict[str, Journal] = {}
        self._hearing = asyncio.create_task(self._hear())

    async def _hear(self) -> None:
        async for text in self.socket:
            frame: dict[str, Any] = json.loads(text)
            self.frames.append(frame)
            for journal in self.journals.values():
                if frame["type"] == "pong":
                    journal.acknowledge()
                else:
                    journal.hear(frame, time.monotonic())

    async def stop(self) -> None:
        """Listen no more."""
        self._hearing.cancel()
        await asyncio.gather(self._hearing, return_exceptions=True)

    async def say(self, **said: Any) -> None:
        """Send a message."""
        await self.socket.send(json.dumps(said))

    async def subscribe(
        self, id_: str = "all", journal: Journal | None = None, **wish: Any
    ) -> Journal:
        """Subscribe, resuming if `journal` has a cursor."""
        journal = journal or Journal(id_)
        self.journals[id_] = journal
        await self.say(type="subscribe", id=id_, **wish, **journal.open())
        await self.say(type="ping")
        return journal

    async def heard(self, type_: str, number: int = 1) -> list[dict[str, Any]]:
        """Wait for so many frames of `type_`; return all of them."""
        await wait_until_async(
            lambda: len(self.of(type_)) >= number, message=f"{number} {type_}"
        )
        return self.of(type_)

    def of(self, type_: str) -> list[dict[str, Any]]:
        """Return the frames of `type_`."""
        return [frame for frame in self.frames if frame["type"] == type_]

    async def closed(self) -> tuple[int, str]:
        """Wait for the server to close; return the code and the reason."""
        async with asyncio.timeout(WITHIN):
            await self.socket.wait_closed()
        return self.socket.close_code or 0, self.socket.close_reason or ""


async def at_end(server: Server, journal: Journal) -> None:
    """Wait until a client has what the store has."""
    revs = await server.revs()
    await wait_until_async(
        lambda: journal.cursor is not None and journal.items == revs,
        message=f"{journal.items} is {revs}",
    )
