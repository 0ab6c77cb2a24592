"""A server as a process: a socket, uvicorn, signals, and one line when ready."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import Awaitable, Callable, Generator

import uvicorn
from celery import Celery
from starlette.datastructures import State

from herald_monitor.errors import HeraldError
from herald_monitor.rare_collection import CONNECTIONS, collect_rarely
from herald_monitor.returned_memory import return_large_blocks, return_often
from herald_monitor.store import Reader
from herald_monitor.stores import store_of
from herald_server.accepting import say_out_of_files
from herald_server.app import create_app
from herald_server.arriving import timely
from herald_server.config import ServerSettings
from herald_server.connection_guard import ConnectionGuard
from herald_server.state import Shared
from herald_server.tls import check_tls

SPREAD = 3.0
"""Seconds over which clients come back after a restart."""

CLOSE_WITHIN = 2

SWITCH_S = 0.001
"""Seconds after which a thread that looks at a large result makes way for the loop.
Each wait for the network costs the loop that much; Python's own 0.005 added up."""

CALM = 200
"""Connections with which a look for all garbage takes some milliseconds."""

ACCEPTS_AT_ONCE = 32
"""Connections that are taken before others have a turn. asyncio takes as many as may
wait: 2,048 that came at once held up everybody for a third of a second."""

BACKLOG = 2_048
"""Connections that may wait to be taken."""

SPARE_FILES = 64
"""Files that are left for all but clients: the store, the broker, logs, webhooks."""


class AddressTaken(HeraldError):
    """The address to listen on cannot be had."""


class _Server(uvicorn.Server):
    """Uvicorn without its own signals: whoever runs Herald listens to them."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Capture none."""
        yield


def open_many() -> None:
    """Take as many connections as the hard limit of this process permits.

    The usual soft limit of 1,024 files would stop at about a thousand.
    """
    if sys.platform != "win32":
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        with contextlib.suppress(OSError, ValueError):  # macOS refuses "no limit"
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def max_files() -> int:
    """Return how many files this process may open."""
    if sys.platform == "win32":
        return 8_192
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft if soft != resource.RLIM_INFINITY else sys.maxsize


def listen(host: str, port: int, shared: bool = False) -> socket.socket:
    """Return a socket to listen with; if `shared`, others of ours may as well.

    Raises `AddressTaken`.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Without its protocol named, asyncio leaves Nagle on: 40 ms a small answer.
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        # The kernel spreads connections over all that listen.
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        made.bind((host, port))
        if not shared:
            # Until somebody listens, others may bind the same port as well.
            made.listen()
    except (OSError, UnicodeError) as error:
        made.close()
        why = getattr(error, "strerror", None) or str(error)
        raise AddressTaken(
            f"cannot listen on {host} port {port}: {why.lower()}; give another "
            "--host or --port (0 takes a free port)"
        ) from error
    made.set_inheritable(True)
    return made


def url_of(bound: socket.socket, secure: bool = False) -> str:
    """Return the HTTP URL of a listening socket."""
    host, port = bound.getsockname()[:2]
    scheme = "https" if secure else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}/"


async def serve(
    settings: ServerSettings,
    app: Celery | None,
    bound: socket.socket,
    stop: asyncio.Event,
    ready: Callable[[str], None],
    before: Callable[[Reader], Awaitable[None]] | None = None,
) -> None:
    """Serve on `bound` until `stop`; call `ready` with the URL once serving.

    `before` is awaited ahead of that. Clients are told to come back before their
    sockets close. Raises `HeraldError`.
    """
    check_tls(settings)
    open_many()
    say_out_of_files(asyncio.get_running_loop())
    store = store_of(settings)
    await store.open()
    try:
        made = create_app(settings, store, app)
        server = _Server(config_of(made, settings, made.state.shared))
        serving = asyncio.create_task(server.serve(sockets=[bound]))
        await _started(server, serving)
        # The loop goes on with the number that it was told; the kernel keeps more.
        bound.listen(BACKLOG)
        if before is not None:
            await before(store)
        # A full collection over all that was imported would stop every client
        # for a tenth of a second.
        collect_rarely(CONNECTIONS)
        return_large_blocks()
        sys.setswitchinterval(SWITCH_S)
        connections = server.server_state.connections
        returning = asyncio.create_task(return_often(lambda: len(connections) <= CALM))
        ready(url_of(bound, secure=settings.tls_cert is not None))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait([serving, stopping], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        returning.cancel()
        await _say_goodbye(made.state)
        server.should_exit = True
        await serving
    finally:
        await store.close()


async def _say_goodbye(doors: State) -> None:
    """Answer who waits, and tell who listens to come back."""
    doors.polls.close()
    await asyncio.gather(doors.sockets.restart(SPREAD), doors.streams.restart(SPREAD))
    await doors.mcp.release()


def config_of(app: object, settings: ServerSettings, shared: Shared) -> uvicorn.Config:
    """Return how uvicorn serves `app`."""
    guard = ConnectionGuard(
        max_files() - SPARE_FILES,
        settings.max_unauthenticated,
        frozenset(settings.proxy_headers),
        shared.tally,
        shared.accounts,
    )
    http, ws = timely(settings.request_timeout, shared.tally, guard)
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        log_config=None,
        access_log=False,
        lifespan="on",
        http=http,
        ws=ws,
        ws_max_size=1 << 18,
        ws_per_message_deflate=False,
        ws_ping_interval=20.0,
        ws_ping_timeout=20.0,
        timeout_graceful_shutdown=CLOSE_WITHIN,
        backlog=ACCEPTS_AT_ONCE,
        # Without addresses to believe, nobody's word about others counts.
        proxy_headers=bool(settings.proxy_headers),
        forwarded_allow_ips=list(settings.proxy_headers),
        ssl_certfile=settings.tls_cert,
        ssl_keyfile=settings.tls_key,
        server_header=False,
    )


async def _started(server: uvicorn.Server, serving: asyncio.Task[None]) -> None:
    while not server.started:
        if serving.done():
            serving.result()
            raise HeraldError("the server did not start; its log says why")
        await asyncio.sleep(0.005)
