"""Herald below a path of somebody else's, such as `https://example.org/herald/`."""

from __future__ import annotations

from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

OURS = ("api", "ws", "events", "mcp", "dashboard", "healthz", "readyz", "metrics")
"""First parts of our own paths. A prefix like one could not be told from it."""


def prefix_of(text: str) -> str:
    """Return `text` as a prefix: `/a/b`, or empty. Raises `ValueError`."""
    parts = [part for part in text.split("/") if part]
    if parts and parts[0] in OURS:
        raise ValueError(f"/{parts[0]} is a path of Herald's own; choose another one")
    if any(c in text for c in "?#% "):
        raise ValueError("must be a path such as /herald")
    return "".join(f"/{part}" for part in parts)


class Rooted:
    """ASGI middleware for a reverse proxy that serves us below `prefix`.

    Whether the proxy takes the prefix off or not, and for who comes to us
    directly, all the same: what is behind sees it in `root_path`.
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
            await self._app(self._below(scope), receive, send)

    def _below(self, scope: Scope) -> Scope:
        path: str = scope["path"]
        below = {**scope, "root_path": self._prefix}
        if not path.startswith(f"{self._prefix}/"):
            below["path"] = self._prefix + path
            raw: bytes | None = scope.get("raw_path")
            if raw is not None:
                below["raw_path"] = self._prefix.encode() + raw
        return below
