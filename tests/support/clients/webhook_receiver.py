"""A receiver of webhooks that fails as told, and writes down what it hears."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any, NamedTuple

from standardwebhooks import Webhook

Answer = tuple[int, Mapping[str, str]]


class ReceivedRequest(NamedTuple):
    """One request: when it came, with what, and how it was answered."""

    at: float
    headers: dict[str, str]
    body: bytes
    status: int

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def json(self) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(self.body)
        return parsed


class Receiver:
    """An HTTP server; `answer` decides by what was heard, `delay` comes before it."""

    def __init__(self) -> None:
        self.requests: list[ReceivedRequest] = []
        self.accepted: list[ReceivedRequest] = []
        """What was answered with 2xx, in order."""
        self.first: dict[str, ReceivedRequest] = {}
        """Of these the first by its id, as a receiver dedupes."""
        self.answer: Callable[[dict[str, str], bytes], Answer] = lambda _, __: (200, {})
        self.delay = 0.0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    async def up(self) -> None:
        """Listen, on the same port as before."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def down(self) -> None:
        """Refuse connections, and cut those that there are."""
        assert self._server is not None
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        await self._server.wait_closed()

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._writers.add(writer)
        try:
            while True:
                await self._one(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    def _note(self, heard: ReceivedRequest) -> None:
        self.requests.append(heard)
        if 200 <= heard.status < 300:
            self.accepted.append(heard)
            self.first.setdefault(heard.id, heard)

    async def _one(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        pairs = (line.split(": ", 1) for line in head[1:] if line)
        headers = {name.lower(): value for name, value in pairs}
        body = await reader.readexactly(int(headers["content-length"]))
        if self.delay:
            await asyncio.sleep(self.delay)
        status, more = self.answer(headers, body)
        self._note(ReceivedRequest(time.monotonic(), headers, body, status))
        lines = [f"HTTP/1.1 {status} Told", "Content-Length: 0"]
        lines += [f"{name}: {value}" for name, value in more.items()]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        await writer.drain()


@contextlib.asynccontextmanager
async def receiving() -> AsyncGenerator[Receiver]:
    """Run a receiver for the length of the block."""
    receiver = Receiver()
    await receiver.up()
    try:
        yield receiver
    finally:
        await receiver.down()


def verified(receiver: Receiver, secret: str) -> None:
    """Check every signature with the library that receivers use."""
    webhook = Webhook(secret)
    for one in receiver.requests:
        webhook.verify(one.body, one.headers)


def in_order(receiver: Receiver) -> None:
    """Check that no change of a task was accepted before an earlier one of it."""
    newest: dict[str, tuple[int, ...]] = {}
    for one in receiver.first.values():
        if not one.id.startswith("msg-"):
            continue
        place = tuple(int(n) for n in re.findall(r"\d+", one.id.partition("~")[0]))
        place += (int(one.id.rpartition("-")[2]),)
        task = one.json["data"]["id"]
        before = newest.get(task, ())
        assert place > before, f"{task}: {place} was accepted after {before}"
        newest[task] = place
