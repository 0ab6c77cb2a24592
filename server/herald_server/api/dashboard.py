"""Serve the dashboard's files, with headers that allow no foreign content."""

from __future__ import annotations

import hashlib
import re
from functools import cache
from pathlib import Path

from starlette.datastructures import MutableHeaders
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

DASHBOARD_PATH = Path(__file__).resolve().parents[1] / "dashboard"

FIRST_MODULES = ("page/main.js", "page/screens/overview.js")

_IMPORT = re.compile(r'^(?:import|export|\}) [^;]*?from "(\.[^"]+)"', re.MULTILINE)

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
    # Revalidated each time: these paths have no version.
    "Cache-Control": "no-cache",
}

IMMUTABLE = {**HEADERS, "Cache-Control": "public, max-age=31536000, immutable"}
"""Headers of files below the path of their version: they never change."""

VERSION_CHARS = 8


async def send_page(request: Request) -> Response:
    """Return the page."""
    return HTMLResponse(read_page(), headers=HEADERS)


@cache
def read_page() -> str:
    """Return the page, with a preload of each module that its first screen needs.

    Without it a browser finds the modules one import after another, a round trip each.
    All files are below the path of their version, also those that modules import.
    """
    page = (DASHBOARD_PATH / "index.html").read_text(encoding="utf-8")
    links = "".join(
        f'<link rel="modulepreload" href="dashboard/{module}">\n'
        for module in list_first_modules()
    )
    whole = page.replace("</head>", f"{links}</head>", 1)
    return whole.replace('"dashboard/', f'"dashboard/v/{compute_version()}/')


@cache
def compute_version() -> str:
    """Return the version of the files: a hash of all of them."""
    found = hashlib.sha256()
    for file in sorted(DASHBOARD_PATH.rglob("*")):
        if file.is_file():
            name = file.relative_to(DASHBOARD_PATH).as_posix().encode()
            found.update(name + b"\0" + file.read_bytes() + b"\0")
    return found.hexdigest()[:VERSION_CHARS]


def list_first_modules() -> list[str]:
    """Return the modules that the first screen imports, below `DASHBOARD_PATH`."""
    found: dict[Path, None] = {}
    waiting = [DASHBOARD_PATH / name for name in FIRST_MODULES]
    while waiting:
        module = waiting.pop(0)
        if module in found:
            continue
        found[module] = None
        imports = _IMPORT.findall(module.read_text(encoding="utf-8"))
        waiting += [(module.parent / path).resolve() for path in imports]
    return [module.relative_to(DASHBOARD_PATH).as_posix() for module in found]


async def send_client(request: Request) -> Response:
    """Return the browser client, an ES module."""
    return FileResponse(
        DASHBOARD_PATH / "herald.js", headers=HEADERS, media_type="text/javascript"
    )


class _WithHeaders:
    """Adds the headers to every answer of an ASGI app.

    A page of another version may ask for files by its path, as while servers are
    updated one after another: it gets those of today, and they are not kept.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_current = scope.get("path_params", {}).get("version") == compute_version()

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                kept = is_current and message["status"] in (200, 304)
                MutableHeaders(scope=message).update(IMMUTABLE if kept else HEADERS)
            await send(message)

        await self._app(scope, receive, with_headers)


def make_routes() -> list[Route | Mount]:
    """Return the routes of the dashboard. They need no token: the
    files contain no data."""
    files = StaticFiles(directory=DASHBOARD_PATH)
    served = _WithHeaders(GZipMiddleware(files, minimum_size=500))
    return [
        Route("/", send_page, methods=["GET"]),
        Route("/herald.js", send_client, methods=["GET"]),
        Mount("/dashboard/v/{version}", served),
        Mount("/dashboard", served),
    ]
