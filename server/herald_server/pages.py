"""The dashboard's files, with headers that let nothing in from elsewhere."""

from __future__ import annotations

from pathlib import Path

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PLACE = Path(__file__).parent / "dashboard"

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'; require-trusted-types-for 'script'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), usb=()",
    # Asked again each time: files have no version in their names.
    "Cache-Control": "no-cache",
}


async def index(request: Request) -> Response:
    """Return the page."""
    return FileResponse(PLACE / "index.html", headers=HEADERS)


async def client(request: Request) -> Response:
    """Return the browser client, an ES module."""
    return FileResponse(
        PLACE / "herald.js", headers=HEADERS, media_type="text/javascript"
    )


class _WithHeaders:
    """Adds the headers to every answer of an ASGI app."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self._app(scope, receive, with_headers)


def routes() -> list[Route | Mount]:
    """Return the routes of the page. They need no token: they hold nothing."""
    return [
        Route("/", index, methods=["GET"]),
        Route("/herald.js", client, methods=["GET"]),
        Mount("/dashboard", _WithHeaders(StaticFiles(directory=PLACE))),
    ]
