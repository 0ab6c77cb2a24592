"""Serve Herald under a path prefix, such as `https://example.org/herald/`."""

from __future__ import annotations

from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send


class PathPrefixMiddleware:
    """ASGI middleware for a reverse proxy that serves Herald under `prefix`.

    It accepts requests with and without the prefix; the application sees it in
    `root_path`.
    """

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self._app = app
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
        elif scope["type"] == "http" and scope["path"] == self._prefix:
            # Links of the page are relative to its folder.
            slash = RedirectResponse(f"{self._prefix}/", 308)
            await slash(scope, receive, send)
        else:
            await self._app(self._strip_prefix(scope), receive, send)

    def _strip_prefix(self, scope: Scope) -> Scope:
        path: str = scope["path"]
        below = {**scope, "root_path": self._prefix}
        if not path.startswith(f"{self._prefix}/"):
            below["path"] = self._prefix + path
            raw: bytes | None = scope.get("raw_path")
            if raw is not None:
                below["raw_path"] = self._prefix.encode() + raw
        return below
