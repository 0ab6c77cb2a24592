"""Run Herald as processes: the server alone, everything, or MCP over stdio.

The applications are imported where they are run: the server while the store and the
monitor start, and neither by commands that run another.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from celery import Celery

from herald_core.errors import InvalidInput, StoreError
from herald_core.settings import MonitorSettings
from herald_core.store.embedded import ADDRESS_FILE, OWN_FILES, EmbeddedValkey
from herald_core.store.factory import make_store
from herald_core.store.ports import TaskReader
from herald_core.store.redis.connection.client import mask_password
from herald_core.system.cancellation import run_in_background
from herald_core.system.private_files import make_private_directory, write_private
from herald_monitor.celery_client.app.celery_app import restrict
from herald_monitor.celery_client.broker.connection import get_broker_name
from herald_monitor.runtime.process import load_celery_app, stop_on_signals
from herald_server.auth.identity import Identity, make_token
from herald_server.wiring.environments.definitions import list_environments
from herald_server.wiring.processes.multiprocess import serve_multiprocess
from herald_server.wiring.processes.supervisor import (
    ChildProcess,
    Supervisor,
    supervise_store,
)
from herald_server.wiring.secret_checks import check_secrets
from herald_server.wiring.settings import ServerSettings
from herald_server.wiring.web_server.listening import listen

if TYPE_CHECKING:
    # Only `herald mcp` needs it, and it takes long to import.
    from herald_server.mcp.profiles.profile import ToolProfile

log = logging.getLogger(__name__)

MONITOR_TIMEOUT_S = 5.0
"""Seconds for which `ready` waits for the monitor to connect to the broker: tasks
submitted right after that line must not be missed."""


def stop_after(stop: asyncio.Event, seconds: float | None) -> None:
    """Set `stop` after some `seconds`, if any are given."""
    if seconds is not None:
        asyncio.get_running_loop().call_later(seconds, stop.set)


def print_ready(url: str) -> None:
    """Print the one line for which programs wait."""
    sys.stdout.write(f"ready {url}\n")
    sys.stdout.flush()


def ensure_token(settings: ServerSettings) -> ServerSettings:
    """Return `settings` with a token, a new one if needed.

    Raises `InvalidInput` if the token is too weak for the address.
    """
    check_secrets(settings)
    if settings.token:
        return settings
    return settings.model_copy(update={"token": make_token()})


def print_dashboard_url(
    url: str, settings: ServerSettings, effective: ServerSettings
) -> None:
    """Print the URL of the dashboard; with the token only if it is a new one."""
    secret = f"#token={effective.token}" if not settings.token else ""
    sys.stderr.write(f"Herald is at {url}{secret}\n")
    sys.stderr.flush()


async def run_server(settings: ServerSettings, seconds: float | None) -> None:
    """Serve a store until SIGTERM, or for some `seconds`."""
    bound = listen(settings.host, settings.port, shared=settings.workers > 1)
    stop = stop_on_signals()
    app = load_celery_app(settings) if settings.broker_url or settings.app else None
    effective = ensure_token(use_running_store(settings, app))
    ready = partial(_announce, settings, effective, stop, seconds)
    if effective.workers == 1:
        from herald_server.wiring.web_server.server import serve

        await serve(effective, app, bound, stop, ready)
        return
    async with run_supervisor() as children:
        await serve_multiprocess(effective, bound, stop, ready, children, os.environ)


async def run_all(
    settings: ServerSettings,
    app: Celery | None,
    seconds: float | None,
    data: Path | None = None,
) -> None:
    """Run store, monitor and server for a Celery installation."""
    if app is not None and settings.workers > 1:
        raise InvalidInput(
            "several server processes must load the app themselves; use "
            "`herald up -A PROJECT --workers N`, or one process"
        )
    bound = listen(settings.host, settings.port, shared=settings.workers > 1)
    stop = stop_on_signals()
    receiving_app = restrict(app) if app else load_celery_app(settings)
    async with AsyncExitStack() as stack:
        effective = await stack.enter_async_context(
            run_embedded_store(ensure_token(settings), receiving_app, data)
        )
        children = await stack.enter_async_context(run_supervisor())
        if app is None:
            children.start(make_monitor_child(effective))
        else:
            await stack.enter_async_context(run_monitor(effective, app))
        for name, other in list_environments(effective).items():
            children.start(make_monitor_child(other, name=f"monitor {name}"))
        ready = partial(_announce, settings, effective, stop, seconds)
        if effective.workers == 1:
            from herald_server.wiring.web_server.server import serve

            await serve(effective, receiving_app, bound, stop, ready, wait_for_monitor)
        else:
            await serve_multiprocess(
                effective, bound, stop, ready, children, os.environ, wait_for_monitor
            )


def _announce(
    settings: ServerSettings,
    effective: ServerSettings,
    stop: asyncio.Event,
    seconds: float | None,
    url: str,
) -> None:
    print_dashboard_url(url, settings, effective)
    print_ready(url)
    stop_after(stop, seconds)


@asynccontextmanager
async def run_embedded_store(
    settings: ServerSettings, app: Celery, data: Path | None
) -> AsyncGenerator[ServerSettings]:
    """Run the embedded store unless another one is configured."""
    if "store_url" in settings.model_fields_set:
        yield settings
        return
    place = data or choose_data_dir(app)
    store = EmbeddedValkey(place)
    await asyncio.to_thread(store.start)
    # Where `herald mcp` and `herald server` look, wherever the data is.
    address = choose_data_dir(app) / ADDRESS_FILE
    make_private_directory(address.parent, OWN_FILES)
    write_private(address, store.url)
    try:
        async with run_in_background(supervise_store(store)):
            yield settings.model_copy(update={"store_url": store.url})
    finally:
        if address.exists() and address.read_text() == store.url:
            address.unlink(missing_ok=True)
        await asyncio.to_thread(store.stop)


def use_running_store(settings: ServerSettings, app: Celery | None) -> ServerSettings:
    """Return `settings` with the store of the `herald up` for the same broker.

    Only if no store is configured, and one runs on this machine.
    """
    if app is None or "store_url" in settings.model_fields_set:
        return settings
    address = choose_data_dir(app) / ADDRESS_FILE
    if not address.exists():
        return settings
    return settings.model_copy(update={"store_url": address.read_text()})


def choose_data_dir(app: Celery) -> Path:
    """Return the directory of the embedded store for `app`'s broker.

    It is in the state directory of the XDG Base Directory Specification, one per
    broker.
    """
    broker = get_broker_name(app)
    home = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(home) / "herald" / hashlib.sha256(broker.encode()).hexdigest()[:16]


@asynccontextmanager
async def run_supervisor() -> AsyncGenerator[Supervisor]:
    """Yield a supervisor whose children end with the block."""
    children = Supervisor()
    try:
        yield children
    finally:
        await children.stop()


def make_environment(settings: ServerSettings) -> dict[str, str]:
    """Return the environment of children: ours, with the monitor's `settings` in it."""
    unset = {
        f"HERALD_{name.upper()}"
        for name in settings.model_fields_set
        if getattr(settings, name) is None
    }
    return {
        **{name: text for name, text in os.environ.items() if name not in unset},
        **settings.to_env(MonitorSettings.model_fields),
        "HERALD_LOG_LEVEL": logging.getLevelName(logging.getLogger().level),
    }


def make_monitor_child(
    settings: ServerSettings,
    log_to: Path | None = None,
    env: Mapping[str, str] | None = None,
    name: str = "monitor",
) -> ChildProcess:
    """Return the monitor as a child process."""
    return ChildProcess(
        name,
        [sys.executable, "-m", "herald_monitor"],
        env or make_environment(settings),
        log_to,
    )


@asynccontextmanager
async def run_monitor(settings: ServerSettings, app: Celery) -> AsyncGenerator[None]:
    """Run a monitor in this process: for an app that only it can load."""
    from herald_monitor.runtime.daemon import build_monitor

    store = make_store(settings)
    await store.open()
    stop = asyncio.Event()
    running = asyncio.create_task(build_monitor(settings, app, store).run(stop))
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(running, return_exceptions=True)
        await store.close()


async def wait_for_monitor(store: TaskReader) -> None:
    """Wait until a monitor is connected to the broker; log a warning on timeout."""
    try:
        async with asyncio.timeout(MONITOR_TIMEOUT_S):
            # At start there is no log to follow yet.
            while not any(m.connected for m in await store.list_monitors()):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    except TimeoutError:
        log.warning(
            "No monitor is connected to the broker after %.0f s; it retries.",
            MONITOR_TIMEOUT_S,
        )
    except StoreError as error:
        log.warning("%s", error)


async def run_mcp(
    settings: ServerSettings, scopes: Sequence[str], profile: ToolProfile
) -> None:
    """Serve MCP over standard input and output until it ends.

    The user has `scopes` and gets the tools of `profile`. Raises `InvalidInput` unless
    a live monitor writes to the store.
    """
    from herald_server.wiring.mcp_stdio import serve_stdio

    app = load_celery_app(settings) if settings.broker_url or settings.app else None
    chosen = use_running_store(settings, app)
    if "store_url" not in chosen.model_fields_set:
        raise InvalidInput(_describe_no_herald(settings))
    await require_monitor(chosen)
    who = Identity("local", frozenset(scopes))
    await serve_stdio(chosen, app, who, profile)


def _describe_no_herald(settings: ServerSettings) -> str:
    broker = settings.broker_url or "redis://localhost:6379/0"
    source = f"-A {settings.app}" if settings.app else f"--broker {broker}"
    return (
        "no running Herald was found for this broker: `herald mcp` reads the store of "
        f"one and starts none. Run `herald up {source}` on this machine, or name the "
        "store of a running one with --store redis://HOST:PORT/DB."
    )


async def require_monitor(settings: ServerSettings) -> None:
    """Raise `InvalidInput` unless a live monitor writes to the store.

    Writes nothing.
    """
    store = make_store(settings)
    await store.open()
    try:
        async with asyncio.timeout(MONITOR_TIMEOUT_S):
            # Before the first entry there is no log to follow.
            while not await store.list_monitors():  # noqa: ASYNC110
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise InvalidInput(
            f"no monitor writes to the store {mask_password(settings.store_url)}, "
            "so nothing there is up to date. Start one on it with `herald monitor "
            "--store …`, or name the store of a running Herald with --store."
        ) from None
    finally:
        await store.close()
