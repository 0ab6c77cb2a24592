"""`herald demo`: store, sample workers, monitor, server, a trickle of real work and
periodic tasks."""

from __future__ import annotations

import asyncio
import logging
import shutil
import sys
import tempfile
import threading
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from herald_core.store.embedded import EmbeddedValkey
from herald_monitor.runtime.process import stop_on_signals
from herald_server.catalog.signatures import load_tasks
from herald_server.demo.app import make_app
from herald_server.demo.periodic_tasks import Beat
from herald_server.demo.run_workload import trickle_of
from herald_server.wiring.launcher import (
    ensure_token,
    make_environment,
    make_monitor_child,
    print_ready,
    run_supervisor,
    stop_after,
    wait_for_monitor,
)
from herald_server.wiring.processes.supervisor import ChildProcess, supervise_store
from herald_server.wiring.settings import ServerSettings
from herald_server.wiring.web_server.listening import listen
from herald_server.wiring.web_server.server import serve

log = logging.getLogger(__name__)

POOLS = ("prefork", "threads")
SLOTS = 2
WORKER_PATIENCE = 1.0
"""Seconds that a sample worker gets: its analyses may be cut off."""


async def run_demo(settings: ServerSettings, seconds: float | None) -> None:
    """Run everything on this machine until SIGTERM, or for some `seconds`."""
    bound = listen(settings.host, settings.port)
    stop = stop_on_signals()
    async with AsyncExitStack() as stack:
        place = Path(tempfile.mkdtemp(prefix="herald-demo-"))
        stack.callback(shutil.rmtree, place, ignore_errors=True)
        told = await stack.enter_async_context(_store(ensure_token(settings), place))
        env = {**make_environment(told), "HERALD_DEMO_DB": str(place / "schedule.db")}
        app = make_app(told.broker_url, told.result_backend)
        # The catalog is what the sample project registers.
        load_tasks(app)
        children = await stack.enter_async_context(run_supervisor())
        # It reads the periodic tasks of the sample project.
        own = {**env, "HERALD_APP": "herald_server.demo.app"}
        children.start(make_monitor_child(told, place / "monitor.log", own))
        for pool in POOLS:
            children.start(_worker(pool, env, place))

        def ready(url: str) -> None:
            _introduce(url, str(told.token), place)
            print_ready(url)
            stop_after(stop, seconds)
            stack.callback(_submit(told))

        await serve(told, app, bound, stop, ready, wait_for_monitor)


@asynccontextmanager
async def _store(
    settings: ServerSettings, place: Path
) -> AsyncGenerator[ServerSettings]:
    """Run the embedded Valkey: Herald's store, and the sample's broker and backend."""
    store = EmbeddedValkey(place / "store")
    await asyncio.to_thread(store.start)
    keeping = asyncio.create_task(supervise_store(store))
    base = store.url.rpartition("/")[0]
    given = {
        "store_url": f"{base}/0",
        "broker_url": f"{base}/1",
        "result_backend": f"{base}/2",
        # Whatever project the environment names: this is the sample's.
        "app": None,
    }
    try:
        yield settings.model_copy(update=given)
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        await asyncio.to_thread(store.stop)


def _worker(pool: str, env: Mapping[str, str], place: Path) -> ChildProcess:
    command = [sys.executable, "-m", "celery", "-A", "herald_server.demo.app"]
    command += ["worker", "-I", "herald_worker.auto"]
    command += ["-P", pool, "-c", str(SLOTS), "-n", f"{pool}@%h"]
    return ChildProcess(
        f"{pool} worker",
        [*command, "-l", "WARNING"],
        {**env, "CELERY_BROKER_URL": env["HERALD_BROKER_URL"]},
        place / f"{pool}.log",
        WORKER_PATIENCE,
    )


def _submit(settings: ServerSettings) -> Callable[[], None]:
    """Start submitting, as programs of their own would; return what ends it."""
    stop = threading.Event()
    app = make_app(settings.broker_url, settings.result_backend)
    for name, run in (("trickle", trickle_of(app).run), ("beat", Beat(app).run)):
        threading.Thread(target=run, args=(stop,), name=name, daemon=True).start()
    return stop.set


def _introduce(url: str, token: str, place: Path) -> None:
    """Tell a person where everything is."""
    channel = url.replace("http", "ws", 1) + "ws"
    sys.stderr.write(
        f"""
  Herald runs with a sample Celery project: 2 workers, work that trickles in, and
  periodic tasks, one of which misses a run now and then.

  Dashboard   {url}#token={token}
  WebSocket   {channel}   (subprotocol herald.v1, Authorization: Bearer {token})
  MCP         {url}mcp   (streamable HTTP, the same header)
  Logs        {place}

  Ctrl-C ends it and leaves nothing behind.

"""
    )
    sys.stderr.flush()
