"""REST routes of bulk orders: preview, confirm, list, stop; and purges."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from herald_core.model.codec import to_json
from herald_core.model.orders import Order
from herald_server.api.actions import (
    NO_BROKER,
    make_json_response,
    refuse_unknown,
)
from herald_server.api.context import ServerContext
from herald_server.api.http.body import read_json_object
from herald_server.api.http.problems import Problem
from herald_server.api.http.route_scopes import require, require_scope
from herald_server.auth.quotas.response_slots import hold_answer_turn
from herald_server.control.bulk.build import Bulk
from herald_server.control.bulk.order import CountChanged, UnknownOrder
from herald_server.control.bulk.service import BulkOrders
from herald_server.control.purge.purge_queue import (
    DepthChanged,
    UnknownQueue,
    parse_depth,
)


class OrderRoutes:
    """Routes below `/api/v1/orders`."""

    def __init__(self, shared: ServerContext) -> None:
        self._shared = shared

    def list_routes(self) -> list[Route]:
        """Return the routes."""
        all_ = "/api/v1/orders"
        return [
            Route(all_, self.list_orders, methods=["GET"]),
            Route(all_, self.submit, methods=["POST"]),
            Route(f"{all_}/{{id}}", self.get_order, methods=["GET"]),
            Route(f"{all_}/{{id}}/stop", self.stop_order, methods=["POST"]),
            Route("/api/v1/queues/{name:path}/purge", self.purge, methods=["POST"]),
        ]

    @property
    def _bulk(self) -> Bulk:
        if self._shared.bulk is None:
            raise Problem(503, NO_BROKER)
        return self._shared.bulk

    @property
    def _orders(self) -> BulkOrders:
        return self._bulk.orders

    @require("read")
    async def list_orders(self, request: Request) -> Response:
        """Return the newest orders."""
        return make_json_response({"orders": await self._orders.list_orders()})

    @require("read")
    async def submit(self, request: Request) -> Response:
        """Return a preview, or with `expect` carry out the order.

        409 with the new preview if the number of tasks is not the expected one.
        """
        _require_any_order_scope(request)
        body = await read_json_object(request)
        try:
            async with hold_answer_turn():
                answer = await self._orders.submit(body)
        except CountChanged as error:
            raise Problem(409, str(error), more={"preview": error.preview}) from None
        status = 201 if isinstance(answer, Order) else 200
        return Response(to_json(answer), status, media_type="application/json")

    @require("read")
    async def get_order(self, request: Request) -> Response:
        """Return one order; 404 if it is unknown."""
        try:
            order = await self._orders.get_order(request.path_params["id"])
        except UnknownOrder as error:
            raise Problem(404, str(error)) from None
        return make_json_response(order)

    @require("read")
    async def stop_order(self, request: Request) -> Response:
        """Stop an order before its next task; 404 if it is unknown."""
        _require_any_order_scope(request)
        try:
            order = await self._orders.stop_order(request.path_params["id"])
        except UnknownOrder as error:
            raise Problem(404, str(error)) from None
        return make_json_response(order, 202)

    @require("admin", whole=True)
    async def purge(self, request: Request) -> Response:
        """Remove the waiting messages of a queue: `{"expect_depth": N}`.

        404 for an unknown queue, 409 with the `depth` if it is not about N, 501 if the
        broker cannot.
        """
        body = await read_json_object(request)
        refuse_unknown(body, ("expect_depth",), ())
        depth = parse_depth(body.get("expect_depth"))
        try:
            order = await self._bulk.purge.purge(request.path_params["name"], depth)
        except UnknownQueue as error:
            raise Problem(404, str(error)) from None
        except DepthChanged as error:
            raise Problem(409, str(error), more={"depth": error.depth}) from None
        return make_json_response(order)


def _require_any_order_scope(request: Request) -> None:
    """Raise `Problem` 403 if the token may neither start nor cancel tasks."""
    who = require_scope(request.scope, "read")
    if not (who.has_scope("start") or who.has_scope("cancel")):
        raise Problem(403, "this token lacks the scopes start and cancel")
