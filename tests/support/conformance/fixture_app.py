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

from herald_core.store.memory.store import MemoryStore
from herald_server.api.context import ServerContext
from herald_server.api.http.auth_middleware import AuthMiddleware
from herald_server.auth.identity import AllowedOrigins, Identity, StaticTokens
from herald_server.auth.tokens import Authenticator
from herald_server.catalog.catalog import Catalog
from herald_server.mcp.answers.error_messages import ErrorMessages
from herald_server.mcp.answers.task_results import EventResults
from herald_server.mcp.completion import CompletionHandler
from herald_server.mcp.events.extension import EventsExtension
from herald_server.mcp.http.session_records import SessionRecords
from herald_server.mcp.prompts import PromptHandler
from herald_server.mcp.resources.legacy_subscriptions import LegacySubscriptions
from herald_server.mcp.resources.resources import ResourceHandler
from herald_server.mcp.resources.subscriptions import SubscriptionStreams
from herald_server.push.log.hub import Hub
from herald_server.push.log.log_reader import LogReader
from herald_server.push.status import ServerStatus
from tests.support.conformance import fixture_input, fixture_jobs, fixture_plain
from tests.support.conformance.jobs import AskingTasks, JobControl, Jobs

TOKEN = "token-of-the-suite"
WATCHED = "test://watched-resource"


class Fixture:
    """The server, and what stands behind it."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.hub = Hub()
        self.feed = LogReader(self.store, self.hub)
        self.status = ServerStatus(self.store, self.feed)
        self.jobs = Jobs(self.store)
        self.mcp = self._built()

    def _built(self) -> FastMCP[Any]:
        catalog = Catalog.load_shipped()
        control = JobControl(Celery("none"), self.store, self.hub, catalog)
        control.jobs = self.jobs
        shared = ServerContext(self.store, self.hub, self.feed, self.status, control)
        mcp: FastMCP[Any] = FastMCP(
            "conformance",
            version="1",
            middleware=[ErrorMessages(catalog)],
            mask_error_details=True,
            dereference_schemas=False,
        )
        tasks = AskingTasks(
            self.store, control, catalog, EventResults(), fixture_jobs.TOOLS
        )
        tasks.jobs, tasks.required = self.jobs, fixture_jobs.REQUIRED
        mcp.add_extension(tasks)
        mcp.add_extension(EventsExtension(self.store, self.hub))
        ResourceHandler(shared, catalog).register(mcp)
        PromptHandler(shared, catalog).register(mcp)
        CompletionHandler(self.store, catalog).register(mcp)
        self.listening = SubscriptionStreams(self.hub, self.status, tasks)
        self.listening.register(mcp)
        TestSubscribing(self.hub, self.status, SessionRecords(self.store)).register(mcp)
        fixture_plain.register(mcp)
        fixture_input.register(mcp)
        fixture_jobs.register(mcp, self.jobs)
        return mcp

    def app(self) -> ASGIApp:
        """Return the ASGI application; the suite sends no token, so it is lent one."""
        inner = self.mcp.http_app(
            path="/mcp", event_store=EventStore(), retry_interval=100
        )
        keyring = Authenticator(StaticTokens({TOKEN: Identity("suite")}))
        return Lent(
            AuthMiddleware(inner, keyring, AllowedOrigins(()), closed_paths=("/mcp",))
        )

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


class TestSubscribing(LegacySubscriptions):
    """Herald's subscriptions; the suite's own resource, which never changes, too."""

    __test__ = False

    def is_watchable(self, uri: str) -> bool:
        """Say whether `uri` can be subscribed to."""
        return uri == WATCHED or super().is_watchable(uri)


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
