"""REST routes of alerts: list them, silence some, test the receivers."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from herald_server.alerts.silences import UnknownSilence, to_silence_view
from herald_server.api.actions import make_json_response, make_marked_response
from herald_server.api.context import ServerContext
from herald_server.api.http.body import read_json_object
from herald_server.api.http.problems import Problem
from herald_server.api.http.route_scopes import require


class AlertRoutes:
    """Routes below `/api/v1/alerts`: not for narrow tokens."""

    def __init__(self, shared: ServerContext) -> None:
        self._shared = shared
        self._alerts = shared.alerts

    def list_routes(self) -> list[Route]:
        """Return the routes."""
        all_ = "/api/v1/alerts"
        return [
            Route(all_, self.list_alerts, methods=["GET"]),
            Route(f"{all_}/test", self.test, methods=["POST"]),
            Route(f"{all_}/silences", self.silence, methods=["POST"]),
            Route(f"{all_}/silences/{{id}}", self.delete_silence, methods=["DELETE"]),
        ]

    @require("read", whole=True)
    async def list_alerts(self, request: Request) -> Response:
        """Return all alerts, those that fire first, with rules and silences."""
        return make_marked_response(self._shared, await self._alerts.read_all())

    @require("admin", whole=True)
    async def silence(self, request: Request) -> Response:
        """Silence alerts: `{"rule": GLOB, "subject": GLOB, "for": "2h"}`."""
        body = await read_json_object(request)
        silence = await self._alerts.silences.add(body)
        return make_json_response(to_silence_view(silence), 201)

    @require("admin", whole=True)
    async def delete_silence(self, request: Request) -> Response:
        """Delete a silence; 404 if it is unknown."""
        silence_id: str = request.path_params["id"]
        try:
            await self._alerts.silences.delete(silence_id)
        except UnknownSilence as error:
            raise Problem(404, str(error)) from None
        body = {"id": silence_id, "message": "These alerts are reported again."}
        return make_json_response(body)

    @require("admin", whole=True)
    async def test(self, request: Request) -> Response:
        """Send a test to all receivers, or to `{"receiver": NAME}`."""
        body = await read_json_object(request, empty=True)
        return make_json_response(await self._alerts.test(body))
