"""The route of the audit log."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from herald_core.errors import InvalidInput
from herald_core.model.codec import to_json
from herald_server.api.context import ServerContext
from herald_server.api.http.route_scopes import require
from herald_server.auth.audit import MAX_RECORDS

MAX_RECORDS_SHOWN = 100


class AuditRoutes:
    """`GET /api/v1/audit`: the audit log, newest first."""

    def __init__(self, shared: ServerContext) -> None:
        self._audit = shared.audit

    def list_routes(self) -> list[Route]:
        """Return the routes."""
        return [Route("/api/v1/audit", self.list_records, methods=["GET"])]

    @require("admin", whole=True)
    async def list_records(self, request: Request) -> Response:
        """Return the newest records."""
        text = request.query_params.get("limit", str(MAX_RECORDS_SHOWN))
        if (
            not (text.isascii() and text.isdigit())
            or not 1 <= int(text[:6]) <= MAX_RECORDS
        ):
            raise InvalidInput(
                f"limit must be a whole number from 1 to {MAX_RECORDS}", "limit"
            )
        body = {"orders": await self._audit.list_newest(int(text))}
        return Response(to_json(body), media_type="application/json")
