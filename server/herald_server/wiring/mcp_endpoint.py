"""The MCP server at `/mcp`, built with its first request.

FastMCP and the tools take 0.8 s and 28 MB to import, which a server without agents
does without.
"""

from __future__ import annotations

import asyncio
import logging
from importlib import import_module
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Receive, Scope, Send

from herald_core.errors import HeraldError
from herald_core.model.events.redaction import Redactor
from herald_core.system.gc_tuning import CONNECTION_THRESHOLDS, tune_gc
from herald_server.api.context import ServerContext
from herald_server.mcp.answers.untrusted import load_sanitizer
from herald_server.wiring.settings import ServerSettings

if TYPE_CHECKING:
    from herald_server.mcp.server import HeraldMcpServer

log = logging.getLogger(__name__)

MCP_PATH = "/mcp"
MODULES = ("herald_server.mcp.server", "herald_server.mcp.http.endpoint")


class McpEndpoint:
    """Serves MCP while `run` does. Raises `InvalidInput` for an unknown sanitizer."""

    def __init__(self, settings: ServerSettings, shared: ServerContext) -> None:
        self._shared = shared
        self._redact = Redactor(settings.redact)
        self._has_sessions = settings.workers == 1
        self._sanitizer = load_sanitizer(settings.mcp_sanitizer)
        self._server: HeraldMcpServer | None = None
        self._app: ASGIApp | None = None
        self._requested = asyncio.Event()
        self._ready = asyncio.Event()

    def get_server(self) -> HeraldMcpServer:
        """Return the MCP server; it is built by the first call."""
        if self._server is None:
            self._server = self._build_server()
        return self._server

    def _build_server(self) -> HeraldMcpServer:
        from herald_server.mcp.answers.task_results import BackendResults
        from herald_server.mcp.server import build_mcp

        backend = self._shared.backend
        return build_mcp(
            self._shared,
            BackendResults(backend, self._redact) if backend else None,
            sanitizer=self._sanitizer,
            has_sessions=self._has_sessions,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if self._app is None:
            self._requested.set()
            await self._ready.wait()
        if self._app is None:
            raise HeraldError("the MCP server could not be built; the log says why")
        await self._app(scope, receive, send)

    async def run(self) -> None:
        """Wait for the first request, and serve from then on, until cancelled."""
        await self._requested.wait()
        try:
            await self._serve()
        except Exception:
            log.exception("the MCP server could not be built")
            self._ready.set()

    async def _serve(self) -> None:
        for module in MODULES:
            # On a thread: others are served meanwhile.
            await asyncio.to_thread(import_module, module)
        from herald_server.mcp.http.endpoint import SessionOwnerMiddleware

        mcp = self.get_server()
        inner = mcp.http_app(path=MCP_PATH)
        # What was imported is there to stay.
        tune_gc(CONNECTION_THRESHOLDS)
        async with inner.lifespan(inner):
            self._app = SessionOwnerMiddleware(inner, mcp.sessions, mcp.calls)
            self._ready.set()
            await asyncio.Event().wait()

    async def shutdown(self) -> None:
        """Answer all calls, and end all streams and sessions."""
        if self._server is not None:
            await self._server.shutdown()
