"""One environment besides the default one, in the process of the server.

It has a store, a log reader, a hub and routes of its own, and shares none of them: what
happens to its store or broker does not touch another environment.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from celery import Celery
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from herald_core.errors import HeraldError
from herald_core.store.factory import make_store
from herald_core.store.ports import Store
from herald_monitor.runtime.process import load_celery_app
from herald_server.api.context import ServerContext
from herald_server.api.http.problems import make_problem_response
from herald_server.insight.environments import PATH_PREFIX, EnvironmentView
from herald_server.wiring.settings import ServerSettings

log = logging.getLogger(__name__)

RETRY_S = 5.0
"""Seconds between two attempts to open the store of an environment."""

RETRY_AFTER = {"Retry-After": "5"}
PAGE_PATHS = ("/herald.js", "/dashboard/")
"""Files without data, which are served also while the store is away."""

AppFactory = Callable[[str, ServerSettings, Store, Celery], Starlette]


class DefaultEnvironment:
    """The environment at the root of the server, as it is listed."""

    def __init__(self, shared: ServerContext) -> None:
        self.context = shared

    def make_view(self) -> EnvironmentView:
        """Return its present state."""
        return _make_view(self.context.environment, "", self.context)


class HostedEnvironment:
    """Serves an environment with `settings`; `make` returns its application."""

    def __init__(self, name: str, settings: ServerSettings, make: AppFactory) -> None:
        self.name = name
        self._settings = settings
        self._make = make
        self._app: Starlette | None = None
        self._is_up = False

    @property
    def path(self) -> str:
        """Its path prefix, below that of the server."""
        return f"/{PATH_PREFIX}/{self.name}"

    @property
    def context(self) -> ServerContext | None:
        """What its interfaces share, while it is up."""
        if self._app is None or not self._is_up:
            return None
        shared: ServerContext = self._app.state.shared
        return shared

    @property
    def app(self) -> Starlette | None:
        """Its application, while it is up."""
        return self._app if self._is_up else None

    def make_view(self) -> EnvironmentView:
        """Return its present state, without asking its store."""
        return _make_view(self.name, f"{self.path.removeprefix('/')}/", self.context)

    async def run(self) -> None:
        """Serve it until cancelled; whatever fails is tried again."""
        while True:
            try:
                await self._serve()
            except HeraldError as error:
                log.warning("The environment %s is not served: %s", self.name, error)
            except Exception:  # whatever is wrong with it, others are served
                log.exception("The environment %s stumbled; it is retried", self.name)
            finally:
                self._is_up = False
            await asyncio.sleep(RETRY_S)

    async def _serve(self) -> None:
        settings = self._settings
        store = make_store(settings)
        celery = load_celery_app(settings)
        self._app = app = self._make(self.name, settings, store, celery)
        await store.open()
        try:
            async with app.router.lifespan_context(app):
                self._is_up = True
                log.info("The environment %s is served at %s/", self.name, self.path)
                await asyncio.Event().wait()
        finally:
            self._is_up = False
            await store.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, whose path begins with that of the environment."""
        root = scope.get("root_path", "") + self.path
        below = scope["path"].removeprefix(root)
        if self._app is not None and (self._is_up or _is_page(scope, below)):
            await self._app({**scope, "root_path": root}, receive, send)
            return
        await refuse(
            scope,
            receive,
            send,
            503,
            f"the environment {self.name} is not available: its store cannot be "
            "opened. It is tried again every 5 s; the log of the server says why",
        )


def _make_view(name: str, path: str, shared: ServerContext | None) -> EnvironmentView:
    problem = "its store cannot be opened; the log of the server says why"
    if shared is not None:
        stale = shared.status.find_staleness()
        problem = stale.reason if stale else ""
    return EnvironmentView(name=name, path=path, up=shared is not None, problem=problem)


def _is_page(scope: Scope, below: str) -> bool:
    return scope["type"] == "http" and (below == "/" or below.startswith(PAGE_PATHS))


async def refuse(
    scope: Scope, receive: Receive, send: Send, status: int, sentence: str
) -> None:
    """Answer a request with a problem document, and close a WebSocket."""
    if scope["type"] == "http":
        headers = RETRY_AFTER if status == 503 else None
        await make_problem_response(status, sentence, headers)(scope, receive, send)
        return
    await receive()
    code = 1013 if status == 503 else 4404  # 1013: try again later (RFC 6455 registry)
    await send({"type": "websocket.close", "code": code, "reason": sentence[:120]})
