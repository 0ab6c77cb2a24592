"""Run a server process: socket, uvicorn, signals, and one line when ready."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from typing import cast

import uvicorn
from celery import Celery
from starlette.applications import Starlette
from starlette.types import ASGIApp

from herald_core.errors import HeraldError
from herald_core.store.factory import make_store
from herald_core.store.ports import TaskReader
from herald_core.system.cancellation import run_in_background
from herald_core.system.gc_tuning import CONNECTION_THRESHOLDS, tune_gc
from herald_core.system.memory_release import return_large_blocks, return_periodically
from herald_server.api.context import ServerContext
from herald_server.wiring.asgi import create_app
from herald_server.wiring.settings import ServerSettings
from herald_server.wiring.web_server.connection_guard import ConnectionGuard
from herald_server.wiring.web_server.draining import drain
from herald_server.wiring.web_server.file_limit_log import log_file_limit
from herald_server.wiring.web_server.http import make_protocols
from herald_server.wiring.web_server.listening import format_url, listen
from herald_server.wiring.web_server.probes import ProbeApp
from herald_server.wiring.web_server.proxies import read_proxy_headers
from herald_server.wiring.web_server.tls import check_tls

CLOSE_TIMEOUT_S = 2

SWITCH_INTERVAL_S = 0.001
"""Seconds after which a thread that reads a large result yields to the event loop. Each
wait for the network costs the loop as much; Python's own 0.005 added up."""

MAX_CONNECTIONS_BEFORE_TUNING = 200
"""Connections from which a full garbage collection takes some milliseconds."""

ACCEPT_BATCH = 32
"""Connections accepted in one step. asyncio accepts as many as may wait: 2,048 at once
delayed all others for a third of a second."""

TICK_S = 1.0

BACKLOG_CONNECTIONS = 2_048
"""Connections that may wait to be accepted."""

SPARE_FILES = 64
"""Files that are left for all but clients: the store, the broker, logs, webhooks."""


class _Server(uvicorn.Server):
    """Uvicorn without signal handlers, which ends when `end` is called."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._ending = asyncio.Event()

    def end(self) -> None:
        """Stop to serve."""
        self.should_exit = True
        self._ending.set()

    async def main_loop(self) -> None:
        """Renew the `Date` of responses each second, until `end` is called.

        Uvicorn's own looks ten times a second whether it should end.
        """
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TICK_S):
                    await self._ending.wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Capture no signals."""
        yield


def raise_file_limit() -> None:
    """Raise the limit of open files to the hard limit of this process.

    The usual soft limit of 1,024 files allows about a thousand connections.
    """
    if sys.platform != "win32":
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        with contextlib.suppress(OSError, ValueError):  # macOS refuses "no limit"
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def count_max_files() -> int:
    """Return how many files this process may open."""
    if sys.platform == "win32":
        return 8_192
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft if soft != resource.RLIM_INFINITY else sys.maxsize


async def serve(
    settings: ServerSettings,
    app: Celery | None,
    bound: socket.socket,
    stop: asyncio.Event,
    ready: Callable[[str], None],
    before: Callable[[TaskReader], Awaitable[None]] | None = None,
) -> None:
    """Serve on `bound` until `stop`; call `ready` with the URL once serving.

    `before` is awaited first. Clients are asked to reconnect before their sockets
    close. Raises `HeraldError`.
    """
    check_tls(settings)
    raise_file_limit()
    log_file_limit(asyncio.get_running_loop())
    store = make_store(settings)
    await store.open()
    try:
        made = create_app(settings, store, app)
        server = _Server(make_uvicorn_config(made, settings, made.state.shared))
        serving = asyncio.create_task(server.serve(sockets=[bound]))
        await _wait_until_started(server, serving)
        # The event loop uses the given number; the kernel keeps more.
        bound.listen(BACKLOG_CONNECTIONS)
        if before is not None:
            await before(store)
        async with _tune_process(server), serve_probes(made, settings):
            ready(format_url(bound, secure=settings.tls_cert is not None))
            stopping = asyncio.create_task(stop.wait())
            await asyncio.wait([serving, stopping], return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
        hosted = [one.app for one in made.state.hosted if one.app is not None]
        states = [app.state for app in (made, *hosted)]
        await drain(server, bound, states, is_shared=settings.workers > 1)
        server.end()
        await serving
    finally:
        await store.close()


@contextlib.asynccontextmanager
async def serve_probes(
    app: Starlette, settings: ServerSettings
) -> AsyncGenerator[None]:
    """Answer probes on a port of their own while the block runs, if one is set.

    Raises `AddressInUse`.
    """
    if settings.probe_port is None:
        yield
        return
    plain = settings.model_copy(update={"tls_cert": None, "tls_key": None})
    config = make_uvicorn_config(ProbeApp(app), plain, app.state.shared)
    config.lifespan = "off"
    bound = listen(
        settings.host,
        settings.probe_port,
        shared=settings.workers > 1,
        option="HERALD_PROBE_PORT",
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[bound]))
    try:
        await _wait_until_started(server, serving)
        yield
    finally:
        server.end()
        await serving


@contextlib.asynccontextmanager
async def _tune_process(server: uvicorn.Server) -> AsyncGenerator[None]:
    """Keep pauses short and memory small while the block runs."""
    # A full collection over all that was imported would stop every client for a tenth
    # of a second.
    tune_gc(CONNECTION_THRESHOLDS)
    return_large_blocks()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    connections = server.server_state.connections
    async with run_in_background(
        return_periodically(lambda: len(connections) <= MAX_CONNECTIONS_BEFORE_TUNING)
    ):
        yield


def make_uvicorn_config(
    app: object, settings: ServerSettings, shared: ServerContext
) -> uvicorn.Config:
    """Return the configuration of uvicorn."""
    guard = ConnectionGuard(
        count_max_files() - SPARE_FILES,
        settings.max_unauthenticated,
        frozenset(settings.proxy_headers),
        shared.metrics,
        shared.accounts,
    )
    http, ws = make_protocols(settings.request_timeout, shared.metrics, guard)
    return uvicorn.Config(
        read_proxy_headers(cast(ASGIApp, app), settings.proxy_headers),
        log_config=None,
        access_log=False,
        lifespan="on",
        http=http,
        ws=ws,
        ws_max_size=1 << 18,
        ws_per_message_deflate=False,
        ws_ping_interval=20.0,
        ws_ping_timeout=20.0,
        timeout_graceful_shutdown=CLOSE_TIMEOUT_S,
        backlog=ACCEPT_BATCH,
        # Forwarding headers are read within the app, see `read_proxy_headers`.
        proxy_headers=False,
        ssl_certfile=settings.tls_cert,
        ssl_keyfile=settings.tls_key,
        server_header=False,
    )


async def _wait_until_started(
    server: uvicorn.Server, serving: asyncio.Task[None]
) -> None:
    while not server.started:
        if serving.done():
            serving.result()
            raise HeraldError("the server did not start; its log says why")
        await asyncio.sleep(0.005)
