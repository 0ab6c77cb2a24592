"""The routes of the OpenAPI document and of the page that shows it."""

from __future__ import annotations

from functools import cache
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from herald_core.model.codec import to_json
from herald_server.api.dashboard import DASHBOARD_PATH, HEADERS
from herald_server.api.openapi.document import build_document


def make_routes() -> list[Route]:
    """Return the routes. They need no token: they contain no task data."""
    return [
        Route("/openapi.json", send_document, methods=["GET"]),
        Route("/docs", send_page, methods=["GET"]),
    ]


async def send_document(request: Request) -> Response:
    """Return the OpenAPI document of this interface."""
    servers = [{"url": request.scope.get("root_path", "") or "/"}]
    whole = {**_get_document(request.app), "servers": servers}
    return Response(to_json(whole), media_type="application/json")


def _get_document(app: Starlette) -> dict[str, Any]:
    """Return the document of `app`, generated once."""
    known: dict[str, Any] | None = getattr(app.state, "openapi", None)
    if known is None:
        known = app.state.openapi = build_document(app.routes)
    return known


async def send_page(request: Request) -> Response:
    """Return the reference page. It loads nothing from elsewhere."""
    return HTMLResponse(read_page(), headers=HEADERS)


@cache
def read_page() -> str:
    """Return the page."""
    return (DASHBOARD_PATH / "reference" / "index.html").read_text(encoding="utf-8")
