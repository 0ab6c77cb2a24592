"""Dispatch requests to environments by the path: `/env/NAME/…`."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from herald_server.insight.environments import PATH_PREFIX
from herald_server.wiring.environments.hosted import HostedEnvironment, refuse


class EnvironmentDispatcher:
    """ASGI middleware: other paths belong to the default environment, `app`."""

    def __init__(
        self, app: ASGIApp, environments: Mapping[str, HostedEnvironment]
    ) -> None:
        self._app = app
        self._environments = environments

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        path: str = scope["path"].removeprefix(scope.get("root_path", ""))
        first, _, rest = path.removeprefix("/").partition("/")
        if first != PATH_PREFIX:
            await self._app(scope, receive, send)
            return
        name, slash, _ = rest.partition("/")
        found = self._environments.get(name)
        if found is None:
            sentence = f"there is no environment {name[:64]!r} here"
            await refuse(scope, receive, send, 404, sentence)
        elif not slash and scope["type"] == "http":
            # Links of the page are relative to its folder.
            location = f"{scope.get('root_path', '')}{found.path}/"
            await RedirectResponse(location, 308)(scope, receive, send)
        else:
            await found(scope, receive, send)
