"""Serve paths with a trailing slash, such as `/mcp/`, like those without it."""

from __future__ import annotations

from starlette.routing import Router
from starlette.types import Receive, Scope, Send


class TrailingSlashFallback:
    """ASGI application for paths that no route of `router` matches.

    A redirect would be absolute, which is wrong behind a proxy that ends TLS, and many
    clients do not follow one with a POST.
    """

    def __init__(self, router: Router) -> None:
        self._router = router
        self._otherwise = router.default

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the path without its trailing slash, or respond 404."""
        shorter = scope["path"].rstrip("/")
        if scope["path"] == shorter or shorter == scope.get("root_path", ""):
            await self._otherwise(scope, receive, send)
            return
        raw: bytes | None = scope.get("raw_path")
        below = {**scope, "path": shorter, "raw_path": raw and raw.rstrip(b"/")}
        await self._router(below, receive, send)


def serve_trailing_slashes(router: Router) -> None:
    """Make `router` serve a path with a trailing slash without a redirect."""
    router.redirect_slashes = False
    router.default = TrailingSlashFallback(router)
