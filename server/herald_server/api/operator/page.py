"""The route of what the dashboard is told of its caller and its settings."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from herald_core.model.codec import to_json
from herald_server.api.context import ServerContext
from herald_server.api.http.route_scopes import require


class PageRoutes:
    """`GET /api/v1/page`: the caller, its scopes, and the links of tasks."""

    def __init__(self, shared: ServerContext) -> None:
        self._links = shared.links

    def list_routes(self) -> list[Route]:
        """Return the routes."""
        return [Route("/api/v1/page", self.describe, methods=["GET"])]

    @require("read")
    async def describe(self, request: Request) -> Response:
        """Return who the caller is, what it may do, and the links of tasks."""
        who = request.scope["state"]["identity"]
        caller = {
            "name": who.name,
            "scopes": sorted(who.scopes),
            "narrowed": who.task_filter is not None,
        }
        body = {"caller": caller, "links": self._links}
        return Response(to_json(body), media_type="application/json")
