"""The route of the audit log."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from herald_monitor.errors import BadInput
from herald_monitor.model.codec import to_json
from herald_server.audit import KEPT
from herald_server.http_auth import allowed
from herald_server.state import Shared

SHOWN = 100


class AuditRoutes:
    """`GET /api/v1/audit`: who ordered what, newest first."""

    def __init__(self, shared: Shared) -> None:
        self._audit = shared.audit

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [Route("/api/v1/audit", self.orders, methods=["GET"])]

    @allowed("admin", whole=True)
    async def orders(self, request: Request) -> Response:
        """Return the newest orders."""
        text = request.query_params.get("limit", str(SHOWN))
        if not (text.isascii() and text.isdigit()) or not 1 <= int(text[:6]) <= KEPT:
            raise BadInput(f"limit must be a whole number from 1 to {KEPT}", "limit")
        body = {"orders": await self._audit.newest(int(text))}
        return Response(to_json(body), media_type="application/json")
