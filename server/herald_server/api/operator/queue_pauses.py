"""REST routes of queues: pause and resume one."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from herald_server.api.actions import NO_BROKER, make_json_response
from herald_server.api.context import ServerContext
from herald_server.api.http.problems import Problem
from herald_server.api.http.route_scopes import require
from herald_server.api.operator.worker_orders import choose_status, make_order_response
from herald_server.control.workers.queue_pauses import QueuePauses, UnknownPause


class QueuePauseRoutes:
    """Routes below `/api/v1/queues`."""

    def __init__(self, shared: ServerContext) -> None:
        self._shared = shared

    def list_routes(self) -> list[Route]:
        """Return the routes."""
        queue = "/api/v1/queues/{name:path}"
        return [
            Route(f"{queue}/pause", self.pause, methods=["POST"]),
            Route(f"{queue}/resume", self.resume, methods=["POST"]),
        ]

    def get_service(self) -> QueuePauses:
        """Return what pauses queues. Raises `Problem`."""
        if self._shared.worker_control is None:
            raise Problem(503, NO_BROKER)
        return self._shared.worker_control.pauses

    @require("admin")
    async def pause(self, request: Request) -> Response:
        """Pause a queue: 200 once no worker consumes it, 202 while some may."""
        order = await self.get_service().pause(request.path_params["name"])
        return make_json_response(make_order_response(order), choose_status(order))

    @require("admin")
    async def resume(self, request: Request) -> Response:
        """Resume a queue; 404 if it is not paused."""
        try:
            order = await self.get_service().resume(request.path_params["name"])
        except UnknownPause as error:
            raise Problem(404, str(error)) from None
        return make_json_response(make_order_response(order), choose_status(order))
