"""A real server in the loop of the test."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncGenerator
from typing import Any
from uuid import uuid4

import uvicorn
from celery import Celery
from starlette.applications import Starlette

from herald_core.model.events.event import Event
from herald_core.model.filters import Filter
from herald_core.store.ports import Store
from herald_core.store.redis.store import RedisStore
from herald_server.auth.identity import Identity, StaticTokens
from herald_server.push.connection.sender import Timeouts
from herald_server.push.protocol.limits import Limits
from herald_server.wiring.asgi import create_app
from herald_server.wiring.settings import ServerSettings
from herald_server.wiring.web_server.listening import format_url, listen
from herald_server.wiring.web_server.server import make_uvicorn_config
from tests.support.herald.uvicorn_server import TOKEN, Quiet
from tests.support.store.heartbeat import beat
from tests.support.store.labs import walk
from tests.support.wait import wait_until_async


def make_store(url: str, prefix: str | None = None, **options: Any) -> RedisStore:
    """Return a store of its own on the server at `url`, not open yet."""
    return RedisStore(url, prefix=prefix or f"{{test-{uuid4().hex}}}", **options)


async def take_lease(url: str, prefix: str, name: str) -> None:
    """Take a lease as another server would, so that those of the test do without it."""
    store = make_store(url, prefix)
    await store.open()
    assert await store.acquire_lease(name, "another server", 3_600)
    await store.close()


class Server:
    """A running server: where it is, and what it serves."""

    def __init__(self, app: Starlette, url: str, store: Store) -> None:
        self.app = app
        self.url = url
        self.ws = f"ws{url.removeprefix('http')}ws"
        self.store = store
        self._clock = 0

    async def beat(self, node: str = "m1", **image: Any) -> None:
        """Beat once, as a monitor does."""
        await beat(self.store, node, **image)

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
        tasks = await walk(self.store, Filter())
        return {task.id: task.rev or "" for task in tasks}


@contextlib.asynccontextmanager
async def serving(
    redis_url: str,
    *,
    limits: Limits | None = None,
    patience: Timeouts | None = None,
    celery: Celery | None = None,
    store: Store | None = None,
    buffer: int | None = None,
    bound: socket.socket | None = None,
    **settings: Any,
) -> AsyncGenerator[Server]:
    """Serve on a free port or `bound`, on a fresh store, for the length of the block.

    `buffer` is how many bytes the kernel takes for a client that reads nothing.
    """
    store = store or make_store(redis_url)
    await store.open()
    chosen = ServerSettings(token=TOKEN, **settings)
    app = create_app(chosen, store, celery, limits=limits, patience=patience)
    bound = bound or listen("127.0.0.1", 0)
    if buffer is not None:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
    server = Quiet(_config(app, chosen))
    running = asyncio.create_task(server.serve(sockets=[bound]))
    try:
        await wait_until_async(lambda: server.started or running.done())
        yield Server(app, format_url(bound, secure=chosen.tls_cert is not None), store)
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
        return status.find_staleness() is None

    await wait_until_async(fresh)


def _config(app: Starlette, settings: ServerSettings) -> uvicorn.Config:
    config = make_uvicorn_config(app, settings, app.state.shared)
    config.timeout_graceful_shutdown = 1
    return config


def let_in(server: Server, token: str, **who: Any) -> None:
    """Let `server` know one more token, as of a herald.toml."""
    keyring = server.app.state.authenticator
    given: dict[str, Any] = {"name": token, **who}
    keyring.static_tokens.add(StaticTokens({token: Identity(**given)}))
