"""The MCP server that the official suite is run against.

Its tools, prompts and resources are the ones that the suite calls by name. What
is held to the suite is Herald's own: the tasks extension, `subscriptions/listen`,
`resources/subscribe`, the guard of Host and Origin, over its hub and its store.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Any

from celery import Celery
from fastmcp import FastMCP
from fastmcp.server.event_store import EventStore
from starlette.types import ASGIApp, Receive, Scope, Send
from tests.conformance import fixture_input, fixture_jobs, fixture_plain
from tests.conformance.jobs import AskingTasks, JobControl, Jobs

from herald_monitor.memory import MemoryStore
from herald_server.auth import Identity, Surroundings, Tokens
from herald_server.catalog import Catalog
from herald_server.feed import Feed
from herald_server.http_auth import Guard
from herald_server.hub import Hub
from herald_server.mcp.completing import Completing
from herald_server.mcp.events import Events
from herald_server.mcp.listen import Listening
from herald_server.mcp.prompts import Prompts
from herald_server.mcp.resources import Resources
from herald_server.mcp.results import ToldResults
from herald_server.mcp.sentences import Sentences
from herald_server.mcp.subscribing import Subscribing
from herald_server.state import Shared
from herald_server.status import Status
from herald_server.tokens import Keyring

TOKEN = "token-of-the-suite"
WATCHED = "test://watched-resource"


class Fixture:
    """The server, and what stands behind it."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.hub = Hub()
        self.feed = Feed(self.store, self.hub)
        self.status = Status(self.store, self.feed)
        self.jobs = Jobs(self.store)
        self.mcp = self._built()

    def _built(self) -> FastMCP[Any]:
        catalog = Catalog.shipped()
        control = JobControl(Celery("none"), self.store, self.hub, catalog)
        control.jobs = self.jobs
        shared = Shared(self.store, self.hub, self.feed, self.status, control)
        mcp: FastMCP[Any] = FastMCP(
            "conformance",
            version="1",
            middleware=[Sentences()],
            mask_error_details=True,
            dereference_schemas=False,
        )
        tasks = AskingTasks(
            self.store, control, catalog, ToldResults(), fixture_jobs.TOOLS
        )
        tasks.jobs, tasks.required = self.jobs, fixture_jobs.REQUIRED
        mcp.add_extension(tasks)
        mcp.add_extension(Events(self.store, self.hub))
        Resources(shared, catalog).register(mcp)
        Prompts(shared, catalog).register(mcp)
        Completing(self.store, catalog).register(mcp)
        self.listening = Listening(self.hub, self.status, tasks)
        self.listening.register(mcp)
        TestSubscribing(self.hub, self.status).register(mcp)
        fixture_plain.register(mcp)
        fixture_input.register(mcp)
        fixture_jobs.register(mcp, self.jobs)
        return mcp

    def app(self) -> ASGIApp:
        """Return the ASGI application; the suite sends no token, so it is lent one."""
        inner = self.mcp.http_app(
            path="/mcp", event_store=EventStore(), retry_interval=100
        )
        keyring = Keyring(Tokens({TOKEN: Identity("suite")}))
        return Lent(Guard(inner, keyring, Surroundings(()), closed=("/mcp",)))

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncGenerator[None, None]:
        """Feed the hub for the length of the block."""
        await self.feed.start()
        running = [
            asyncio.create_task(self.feed.run()),
            asyncio.create_task(self.status.run()),
        ]
        try:
            yield
        finally:
            await self.jobs.close()
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)


class TestSubscribing(Subscribing):
    """Herald's subscriptions; the suite's own resource, which never changes, too."""

    __test__ = False

    def watchable(self, uri: str) -> bool:
        """Say whether `uri` can be subscribed to."""
        return uri == WATCHED or super().watchable(uri)


class Lent:
    """Lends every request the token that the suite does not send."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "http":
            lent = (b"authorization", f"Bearer {TOKEN}".encode())
            scope = {**scope, "headers": [*scope["headers"], lent]}
        await self._app(scope, receive, send)
