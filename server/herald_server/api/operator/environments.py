"""The route of environments: the Celery installations that this server serves."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from herald_server.api.actions import make_json_response
from herald_server.api.context import ServerContext
from herald_server.api.http.route_scopes import require_scope


class EnvironmentRoutes:
    """`GET /api/v1/environments`: those that the token may use."""

    def __init__(self, shared: ServerContext) -> None:
        self._shared = shared

    def list_routes(self) -> list[Route]:
        """Return the routes."""
        path = "/api/v1/environments"
        return [Route(path, self.list_environments, methods=["GET"])]

    async def list_environments(self, request: Request) -> Response:
        """Return the environments that the token may use, the default one first."""
        who = require_scope(request.scope, "read")
        found = self._shared.environments.list_for(who)
        body = {"environments": found, "current": self._shared.environment}
        return make_json_response(body)
