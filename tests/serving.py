"""A real server in the test's own loop, and clients that write down what they hear."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import socket
import time
from collections.abc import AsyncGenerator, Callable
from typing import Any
from uuid import uuid4

import uvicorn
from celery import Celery
from starlette.applications import Starlette
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from herald_monitor.model.events import Event
from herald_monitor.model.filters import Filter
from herald_monitor.model.shape import rfc3339
from herald_monitor.redis_store import RedisStore
from herald_monitor.store import MonitorImage
from herald_server.app import create_app
from herald_server.auth import Identity, Tokens
from herald_server.config import ServerSettings
from herald_server.limits import Limits
from herald_server.serve import config_of, listen, url_of
from herald_server.telling import Patience
from tests.validators import Journal

TOKEN = "a-token-for-tests"
WITHIN = 10.0


def make_store(url: str, prefix: str | None = None, **options: Any) -> RedisStore:
    """Return a store of its own on the server at `url`, not open yet."""
    return RedisStore(url, prefix=prefix or f"{{test-{uuid4().hex}}}", **options)


class Server:
    """A running server: where it is, and what it serves."""

    def __init__(self, app: Starlette, url: str, store: RedisStore) -> None:
        self.app = app
        self.url = url
        self.ws = f"ws{url.removeprefix('http')}ws"
        self.store = store
        self._clock = 0

    async def beat(self, node: str = "m1", **image: Any) -> None:
        """Beat once, as a monitor does."""
        now = time.time()
        told: dict[str, Any] = {"connected": True, **image}
        monitor = MonitorImage(
            id=node, started_at=rfc3339(now), seen_at=rfc3339(now), **told
        )
        await self.store.beat(monitor, now=now)

    async def tell(self, kind: str, *ids: str, **fields: Any) -> None:
        """Store events of one kind, one for each task, in one batch."""
        self._clock += 1
        now = time.time()
        given: dict[str, Any] = {"host": "w1@h", "pid": 7, **fields}
        events = [
            Event(kind=kind, task_id=id_, at=now, clock=self._clock, **given)
            for id_ in ids
        ]
        await self.store.store(events, now=now)

    async def revs(self) -> dict[str, str]:
        """Return the rev of every task that is stored."""
        from tests.contract.labs import walk

        tasks = await walk(self.store, Filter())
        return {task.id: task.rev or "" for task in tasks}


@contextlib.asynccontextmanager
async def serving(
    redis_url: str,
    *,
    limits: Limits | None = None,
    patience: Patience | None = None,
    celery: Celery | None = None,
    store: RedisStore | None = None,
    buffer: int | None = None,
    **settings: Any,
) -> AsyncGenerator[Server]:
    """Serve on a free port, on a fresh store, for the length of the block.

    `buffer` is how many bytes the kernel takes for a client that reads nothing.
    """
    store = store or make_store(redis_url)
    await store.open()
    chosen = ServerSettings(token=TOKEN, **settings)
    app = create_app(chosen, store, celery, limits=limits, patience=patience)
    bound = listen("127.0.0.1", 0)
    if buffer is not None:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
    server = Quiet(_config(app, chosen))
    running = asyncio.create_task(server.serve(sockets=[bound]))
    try:
        await until(lambda: server.started or running.done())
        yield Server(app, url_of(bound, secure=chosen.tls_cert is not None), store)
    finally:
        server.should_exit = True
        await running
        bound.close()
        await store.close()


async def watched(server: Server) -> None:
    """Let the server know of a monitor, so that nothing is outdated for 3 s."""
    status = server.app.state.shared.status

    async def fresh() -> bool:
        await server.beat()
        return status.staleness() is None

    async with asyncio.timeout(WITHIN):
        while not await fresh():
            await asyncio.sleep(0.05)


class Quiet(uvicorn.Server):
    """Uvicorn without its own signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield


def _config(app: Starlette, settings: ServerSettings) -> uvicorn.Config:
    config = config_of(app, settings, app.state.shared)
    config.timeout_graceful_shutdown = 1
    return config


def let_in(server: Server, token: str, **who: Any) -> None:
    """Let `server` know one more token, as of a herald.toml."""
    keyring = server.app.state.keyring
    given: dict[str, Any] = {"name": token, **who}
    keyring.chosen.add(Tokens({token: Identity(**given)}))


async def until(
    predicate: Callable[[], object], within: float = WITHIN, what: str = ""
) -> None:
    """Wait for `predicate` to become true."""
    try:
        async with asyncio.timeout(within):
            while not predicate():
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise AssertionError(f"after {within} s still not: {what}") from None


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
        await until(lambda: len(self.of(type_)) >= number, what=f"{number} {type_}")
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
    await until(
        lambda: journal.cursor is not None and journal.items == revs,
        what=f"{journal.items} is {revs}",
    )
