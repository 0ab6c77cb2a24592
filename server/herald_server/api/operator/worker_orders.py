"""REST routes of orders: give one to a worker, read one, list them."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from herald_core.model.orders import Order
from herald_server.api.actions import NO_BROKER, make_json_response
from herald_server.api.context import ServerContext
from herald_server.api.http.body import read_json_object
from herald_server.api.http.problems import Problem
from herald_server.api.http.query import parse_seconds
from herald_server.api.http.route_scopes import require
from herald_server.control.dismiss_worker import UnknownWorker
from herald_server.control.workers.commands import parse_command
from herald_server.control.workers.worker_orders import WorkerOrders, WorkerUnavailable

DEFAULT_WAIT_S = 20.0
MAX_WAIT_S = 60.0
"""Maximum seconds for which a request waits for the outcome of an order."""


class WorkerOrderRoutes:
    """`POST /api/v1/workers/{name}/orders`."""

    def __init__(self, shared: ServerContext) -> None:
        self._shared = shared

    def list_routes(self) -> list[Route]:
        """Return the routes."""
        orders = "/api/v1/workers/{name:path}/orders"
        return [Route(orders, self.give_order, methods=["POST"])]

    def get_service(self) -> WorkerOrders:
        """Return what gives orders to workers. Raises `Problem`."""
        if self._shared.worker_control is None:
            raise Problem(503, NO_BROKER)
        return self._shared.worker_control.orders

    @require("admin")
    async def give_order(self, request: Request) -> Response:
        """Give an order: `{"command": "pool_grow", "n": 2}`.

        200 once it has ended, 202 if it goes on after `?wait=` seconds.
        """
        service = self.get_service()
        service.require_enabled()
        wait_s = parse_seconds(
            request.query_params.get("wait"), DEFAULT_WAIT_S, MAX_WAIT_S, "wait"
        )
        body = dict(await read_json_object(request))
        command = parse_command(body.pop("command", ""), body)
        with answer_with_status():
            order = await service.give(request.path_params["name"], command, wait_s)
        return make_json_response(make_order_response(order), choose_status(order))


@contextmanager
def answer_with_status() -> Generator[None]:
    """Answer 404 for an unknown worker, and 409 for one that cannot be ordered now."""
    try:
        yield
    except UnknownWorker as error:
        raise Problem(404, str(error)) from None
    except WorkerUnavailable as error:
        raise Problem(409, str(error)) from None


def choose_status(order: Order) -> int:
    """Return the status of an answer with `order`."""
    return 200 if order.is_ended else 202


def make_order_response(order: Order) -> dict[str, Any]:
    """Return an order as JSON."""
    fields: dict[str, Any] = msgspec.to_builtins(order)
    return fields
