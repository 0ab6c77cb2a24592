"""The application of the probe port: what a cluster asks, under any host name."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from herald_server.api.http.auth_middleware import PROBE_PATHS
from herald_server.api.http.problems import make_problem_response

OWN_HOST = (b"host", b"localhost")
"""A host that is always served. The port serves no page, so nothing can be rebound."""


class ProbeApp:
    """ASGI application that answers `PROBE_PATHS` as `app` does, and nothing else."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; close a WebSocket."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 4404})
            return
        path: str = scope["path"]
        if path.rstrip("/") not in PROBE_PATHS:
            refusal = make_problem_response(
                404, f"this port answers {', '.join(PROBE_PATHS)} only"
            )
            await refusal(scope, receive, send)
            return
        headers = [pair for pair in scope["headers"] if pair[0] != b"host"]
        await self._app({**scope, "headers": [*headers, OWN_HOST]}, receive, send)
