"""The MCP door over a store in memory, with a real feed and a real hub, for tests."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Mapping
from typing import Any, cast

import uvicorn
from celery import Celery
from fastmcp import Client
from fastmcp.client.client import CallToolResult

from herald_core.model.events.event import Event, Progress
from herald_core.store.memory.store import MemoryStore
from herald_core.store.ports import Store
from herald_core.system.cancellation import run_in_background
from herald_monitor.celery_client.backend.result_backend import ResultBackend
from herald_server.api.context import ServerContext
from herald_server.api.http.auth_middleware import AuthMiddleware
from herald_server.auth.identity import AllowedOrigins, Identity, StaticTokens
from herald_server.auth.scoped_store import scope_store
from herald_server.auth.tokens import Authenticator
from herald_server.catalog.catalog import Catalog
from herald_server.control.control import Control
from herald_server.mcp.answers.task_results import BackendResults
from herald_server.mcp.server import HeraldMcpServer, build_mcp
from herald_server.push.log.hub import Hub
from herald_server.push.log.log_reader import LogReader
from herald_server.push.status import ServerStatus
from herald_server.wiring.web_server.listening import format_url, listen
from tests.support.herald.uvicorn_server import Quiet
from tests.support.store.heartbeat import beat, beating
from tests.support.wait import wait_until_async

SNAPSHOT = "app.tasks.schedule_metrics_tasks.snapshot_metrics"


class House:
    """A door, and what stands behind it."""

    def __init__(
        self,
        app: Celery | None = None,
        store: Store | None = None,
        catalog: Catalog | None = None,
    ) -> None:
        catalog = Catalog.load_shipped() if catalog is None else catalog
        self.store: Store = store or MemoryStore()
        self.hub = Hub()
        self.feed = LogReader(self.store, self.hub)
        self._clock = 0
        control = Control(app, self.store, self.hub, catalog) if app else None
        status = ServerStatus(self.store, self.feed)
        self.shared = ServerContext(
            scope_store(self.store), self.hub, self.feed, status, control
        )
        self.door: HeraldMcpServer = build_mcp(
            self.shared, BackendResults(ResultBackend(app)) if app else None
        )

    def forget_durations(self) -> None:
        """Have durations measured anew with the next question."""
        self.door.durations.clear()

    async def tell(self, kind: str, task_id: str, **fields: Any) -> None:
        """Store an event of a worker, as a monitor does."""
        self._clock += 1
        now = time.time()
        event = Event(
            kind=kind,
            task_id=task_id,
            at=now,
            host="celery@one",
            pid=7,
            clock=self._clock,
            **fields,
        )
        await self.store.store([event], now=now)

    async def started(self, task_id: str, name: str = SNAPSHOT) -> None:
        """Tell of a task that runs."""
        await self.tell("received", task_id, name=name, retries=0)
        await self.tell("started", task_id)

    async def progress(self, task_id: str, percent: float, message: str) -> None:
        """Tell how far a task is."""
        progress = Progress(percent=percent, message=message)
        await self.tell("progress", task_id, progress=progress)


@contextlib.asynccontextmanager
async def house(
    app: Celery | None = None,
    store: Store | None = None,
    catalog: Catalog | None = None,
    *,
    monitored: bool = True,
) -> AsyncGenerator[House, None]:
    """Open a house: its feed runs until the end of the block.

    Not `monitored`: no monitor writes to its store.
    """
    made = House(app, store, catalog)
    await made.feed.start()
    monitor = (
        beating(lambda: beat(made.store)) if monitored else contextlib.nullcontext()
    )
    async with monitor, run_in_background(made.feed.run(), made.shared.status.run()):
        yield made


@contextlib.asynccontextmanager
async def over_http(
    made: House, tokens: Mapping[str, Identity], *, stateless: bool = False
) -> AsyncGenerator[str, None]:
    """Serve the door of a house on a port of its own; yields the URL of `/mcp`."""
    inner = made.door.http_app(path="/mcp", stateless_http=stateless)
    keyring = Authenticator(StaticTokens(tokens))
    guarded = AuthMiddleware(inner, keyring, AllowedOrigins(()), closed_paths=("/mcp",))
    bound = listen("127.0.0.1", 0)
    config = uvicorn.Config(
        guarded,
        log_config=None,
        access_log=False,
        lifespan="on",
        timeout_graceful_shutdown=2,
    )
    server = Quiet(config)
    serving = asyncio.create_task(server.serve([bound]))
    await wait_until_async(lambda: server.started)
    try:
        yield format_url(bound) + "mcp"
    finally:
        await made.door.shutdown()
        server.should_exit = True
        await serving


async def call(client: Client[Any], tool: str, **arguments: Any) -> dict[str, Any]:
    """Call a tool and return its structured answer."""
    result = await client.call_tool(tool, arguments)
    return cast("dict[str, Any]", result.structured_content)


async def refused(client: Client[Any], tool: str, **arguments: Any) -> str:
    """Call a tool that must refuse; return its sentence."""
    result: CallToolResult = await client.call_tool(
        tool, arguments, raise_on_error=False
    )
    assert result.is_error, result.structured_content
    said = str(getattr(result.content[0], "text", ""))
    assert "\n" not in said, f"not a sentence: {said}"
    assert "pydantic" not in said
    return said
