"""Nodes and clients of the model, joined by lines without a network."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec

from herald_server.auth.identity import Identity, StaticTokens
from herald_server.auth.tokens import Authenticator
from herald_server.push.connection.connection import Connection, PushContext
from herald_server.push.connection.flush_rate import FlushRate
from herald_server.push.connection.scheduler import FlushScheduler
from herald_server.push.connection.transport import TransportClosed
from herald_server.push.log.hub import Hub
from herald_server.push.log.log_reader import LogReader
from herald_server.push.protocol.limits import Limits
from herald_server.push.session.snapshots import SnapshotReader
from herald_server.push.status import ServerStatus
from tests.support.journal import Journal
from tests.support.simulation.store import FragileStore, Gates

TOKEN = "a-token-of-the-model"


class Node:
    """A server process."""

    def __init__(
        self,
        store: FragileStore,
        library: type[SnapshotReader],
        most: int,
    ) -> None:
        hub = Hub()
        self.feed = LogReader(store, hub)
        self.hub = hub
        self.door = PushContext(
            hub,
            library(store, hub, self.feed, Limits(), page=most, catch_up=0.0),
            Authenticator(StaticTokens({TOKEN: Identity("model")})),
            ServerStatus(store, self.feed),
            "node",
            scheduler=FlushScheduler(FlushRate(rate=1e12)),
        )
        self._running: asyncio.Task[None] | None = None

    async def _run(self) -> None:
        await self.feed.start()
        await self.feed.run()

    def start(self) -> None:
        """Begin to read the log."""
        self._running = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stop, as a killed process does."""
        assert self._running is not None
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)


class _Line:
    """A connection to a client, without a network."""

    def __init__(self, client: Client, slow: bool) -> None:
        self._client = client
        self._slow = slow
        self.inbox: asyncio.Queue[str | None] = asyncio.Queue()

    async def receive(self) -> str | bytes:
        said = await self.inbox.get()
        if said is None:
            raise TransportClosed
        return said

    def try_send(self, frame: bytes) -> bool:
        if not self._slow:
            self._client.hear(msgspec.json.decode(frame))
        return not self._slow

    async def send(self, frame: bytes) -> None:
        if self._slow:
            await self._client.gates.go()
        self._client.hear(msgspec.json.decode(frame))

    def hold(self, size: int) -> None:
        """Nothing is counted here."""

    async def close(self, code: int, reason: str) -> None:
        self._client.closes.append(code)

    def abort(self, code: int, reason: str) -> None:
        self._client.closes.append(code)


class Client:
    """A client with some subscriptions, which come back over any node."""

    def __init__(self, gates: Gates, *wishes: Mapping[str, Any]) -> None:
        self.gates = gates
        self.wishes = wishes
        self.journals = [Journal(f"s{i}") for i in range(len(wishes))]
        self.closes: list[int] = []
        self.errors: list[Any] = []
        self.node: Node | None = None
        self._line: _Line | None = None
        self._pump: asyncio.Task[None] | None = None

    @property
    def connected(self) -> bool:
        return self._pump is not None and not self._pump.done()

    def connect(self, node: Node, slow: bool) -> None:
        """Connect, and subscribe to everything."""
        self.node = node
        line = self._line = _Line(self, slow)
        for journal, wish in zip(self.journals, self.wishes, strict=True):
            said = {"type": "subscribe", "id": journal.sub, **wish, **journal.open()}
            line.inbox.put_nowait(msgspec.json.encode(said).decode())
        line.inbox.put_nowait('{"type":"ping"}')
        self._pump = asyncio.create_task(Connection(node.door, line).run(TOKEN, True))

    async def disconnect(self) -> None:
        """Vanish."""
        if self._line is not None and self._pump is not None:
            self._line.inbox.put_nowait(None)
            self.hear = lambda frame: None  # type: ignore[method-assign]
            await self._pump
            del self.hear
            self._line = self._pump = self.node = None

    def hear(self, frame: dict[str, Any]) -> None:
        """Take in a frame."""
        if frame["type"] == "error":
            self.errors.append(frame)
        for journal in self.journals:
            if frame["type"] == "pong":
                journal.acknowledge()
            else:
                journal.hear(frame)
