"""Herald as processes: a server alone, everything together, MCP over stdio."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from celery import Celery

from herald_monitor.celery_app import restrict
from herald_monitor.consumers import broker_name
from herald_monitor.daemon import celery_of, monitor_of, stop_on_signals
from herald_monitor.embedded import ADDRESS, OURS, EmbeddedStore
from herald_monitor.errors import BadInput, StoreError
from herald_monitor.private_files import make_private_directory, write_private
from herald_monitor.redis_link import without_password
from herald_monitor.store import Reader
from herald_monitor.stores import store_of
from herald_server.auth import new_token
from herald_server.config import ServerSettings
from herald_server.many import serve_with_children
from herald_server.serve import listen, serve
from herald_server.supervisor import Child, Supervisor, keep_store
from herald_server.tokens.secret import check_secrets

log = logging.getLogger(__name__)

HEARD_WITHIN = 5.0
"""Seconds for which `ready` waits for the monitor to hear the broker: what is
submitted right after that line must not be missed."""


def stop_after(stop: asyncio.Event, seconds: float | None) -> None:
    """Set `stop` after some `seconds`, if any are given."""
    if seconds is not None:
        asyncio.get_running_loop().call_later(seconds, stop.set)


def say_ready(url: str) -> None:
    """Print the one line that programs wait for."""
    sys.stdout.write(f"ready {url}\n")
    sys.stdout.flush()


def with_token(settings: ServerSettings) -> ServerSettings:
    """Return `settings` with a token; a new one is told on standard error.

    Raises `BadInput` if one was chosen that is too weak for where it is to serve.
    """
    check_secrets(settings)
    if settings.token:
        return settings
    return settings.model_copy(update={"token": new_token()})


def open_page(url: str, settings: ServerSettings, told: ServerSettings) -> None:
    """Tell a person where the page is; the token only if nobody chose it."""
    secret = f"#token={told.token}" if not settings.token else ""
    sys.stderr.write(f"Herald is at {url}{secret}\n")
    sys.stderr.flush()


async def run_server(settings: ServerSettings, seconds: float | None) -> None:
    """Serve what a store holds until SIGTERM, or for some `seconds`."""
    bound = listen(settings.host, settings.port, shared=settings.workers > 1)
    stop = stop_on_signals()
    app = celery_of(settings) if settings.broker_url or settings.app else None
    told = with_token(beside(settings, app))

    def ready(url: str) -> None:
        open_page(url, settings, told)
        say_ready(url)
        stop_after(stop, seconds)

    if told.workers == 1:
        await serve(told, app, bound, stop, ready)
        return
    async with supervised() as children:
        await serve_with_children(told, bound, stop, ready, children, os.environ)


async def run_all(
    settings: ServerSettings,
    app: Celery | None,
    seconds: float | None,
    data: Path | None = None,
) -> None:
    """Run store, monitor and server beside a Celery installation."""
    if app is not None and settings.workers > 1:
        raise BadInput(
            "several server processes must load the app themselves; use "
            "`herald up -A PROJECT --workers N`, or one process"
        )
    bound = listen(settings.host, settings.port, shared=settings.workers > 1)
    stop = stop_on_signals()
    hears = restrict(app) if app else celery_of(settings)
    told = with_token(settings)
    async with AsyncExitStack() as stack:
        told = await stack.enter_async_context(embedded(told, hears, data))
        children = await stack.enter_async_context(supervised())
        if app is None:
            children.start(monitor_child(told))
        else:
            await stack.enter_async_context(monitoring(told, app))

        def ready(url: str) -> None:
            open_page(url, settings, told)
            say_ready(url)
            stop_after(stop, seconds)

        if told.workers == 1:
            await serve(told, hears, bound, stop, ready, heard)
        else:
            await serve_with_children(
                told, bound, stop, ready, children, os.environ, heard
            )


@asynccontextmanager
async def embedded(
    settings: ServerSettings, app: Celery, data: Path | None
) -> AsyncGenerator[ServerSettings]:
    """Run the embedded store unless another one was named."""
    if "store_url" in settings.model_fields_set:
        yield settings
        return
    place = data or place_for(app)
    store = EmbeddedStore(place)
    await asyncio.to_thread(store.start)
    # Where `herald mcp` and `herald server` look, wherever the data lies.
    address = place_for(app) / ADDRESS
    make_private_directory(address.parent, OURS)
    write_private(address, store.url)
    keeping = asyncio.create_task(keep_store(store))
    try:
        yield settings.model_copy(update={"store_url": store.url})
    finally:
        if address.exists() and address.read_text() == store.url:
            address.unlink(missing_ok=True)
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        await asyncio.to_thread(store.stop)


def beside(settings: ServerSettings, app: Celery | None) -> ServerSettings:
    """Return `settings` with the store of the `herald up` for the same broker.

    Only where no store is named, and one runs on this machine.
    """
    if app is None or "store_url" in settings.model_fields_set:
        return settings
    address = place_for(app) / ADDRESS
    if not address.exists():
        return settings
    return settings.model_copy(update={"store_url": address.read_text()})


def place_for(app: Celery) -> Path:
    """Return where the embedded store for `app`'s broker keeps its files.

    The XDG Base Directory Specification's place for state, one a broker.
    """
    broker = broker_name(app)
    home = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(home) / "herald" / hashlib.sha256(broker.encode()).hexdigest()[:16]


@asynccontextmanager
async def supervised() -> AsyncGenerator[Supervisor]:
    """Give a supervisor whose children end with the block."""
    children = Supervisor()
    try:
        yield children
    finally:
        await children.stop()


def environment(settings: ServerSettings) -> dict[str, str]:
    """Return our environment with `settings` in it, for children."""
    given = {
        "HERALD_BROKER_URL": settings.broker_url,
        "HERALD_RESULT_BACKEND": settings.result_backend,
        "HERALD_APP": settings.app,
        "HERALD_TRANSPORT_OPTIONS": _json(settings.transport_options),
        "HERALD_BACKEND_OPTIONS": _json(settings.backend_options),
        "HERALD_CELERY_SETTINGS": _json(settings.celery_settings),
        "HERALD_STORE_URL": settings.store_url,
        "HERALD_STORE_PREFIX": settings.store_prefix,
        "HERALD_RETENTION": str(settings.retention),
        "HERALD_DURABLE_EVENTS": str(settings.durable_events),
        "HERALD_EVENT_QUEUE": settings.event_queue,
        "HERALD_LOG_LEVEL": logging.getLevelName(logging.getLogger().level),
    }
    return {**os.environ, **{k: v for k, v in given.items() if v}}


def _json(options: Mapping[str, object]) -> str:
    return json.dumps(options) if options else ""


def monitor_child(
    settings: ServerSettings,
    log_to: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Child:
    """Return the monitor as a child process."""
    return Child(
        "monitor",
        [sys.executable, "-m", "herald_monitor"],
        env or environment(settings),
        log_to,
    )


@asynccontextmanager
async def monitoring(settings: ServerSettings, app: Celery) -> AsyncGenerator[None]:
    """Run a monitor in this process: for an app that only it could load."""
    store = store_of(settings)
    await store.open()
    stop = asyncio.Event()
    running = asyncio.create_task(monitor_of(settings, app, store).run(stop))
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(running, return_exceptions=True)
        await store.close()


async def heard(store: Reader) -> None:
    """Wait until a monitor hears the broker; say so if none does in time."""
    try:
        async with asyncio.timeout(HEARD_WITHIN):
            # At start there is no log to follow yet.
            while not any(m.connected for m in await store.monitors()):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    except TimeoutError:
        log.warning(
            "No monitor hears the broker after %.0f s; it goes on trying.", HEARD_WITHIN
        )
    except StoreError as error:
        log.warning("%s", error)


async def run_mcp(settings: ServerSettings) -> None:
    """Speak MCP over standard input and output until it ends.

    Raises `BadInput` unless a living monitor writes to the store.
    """
    from herald_server.mcp.stdio import speak

    app = celery_of(settings) if settings.broker_url or settings.app else None
    chosen = beside(settings, app)
    if "store_url" not in chosen.model_fields_set:
        raise BadInput(_no_herald(settings))
    await demand_monitor(chosen)
    await speak(chosen, app)


def _no_herald(settings: ServerSettings) -> str:
    broker = settings.broker_url or "redis://localhost:6379/0"
    source = f"-A {settings.app}" if settings.app else f"--broker {broker}"
    return (
        "no running Herald was found for this broker: `herald mcp` reads the store of "
        f"one and starts none. Run `herald up {source}` on this machine, or name the "
        "store of a running one with --store redis://HOST:PORT/DB."
    )


async def demand_monitor(settings: ServerSettings) -> None:
    """Raise `BadInput` unless a living monitor writes to the store. Writes nothing."""
    store = store_of(settings)
    await store.open()
    try:
        async with asyncio.timeout(HEARD_WITHIN):
            # Before the first entry there is no log to follow.
            while not await store.monitors():  # noqa: ASYNC110
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise BadInput(
            f"no monitor writes to the store {without_password(settings.store_url)}, "
            "so nothing there is up to date. Start one on it with `herald monitor "
            "--store …`, or name the store of a running Herald with --store."
        ) from None
    finally:
        await store.close()
