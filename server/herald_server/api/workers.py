"""REST routes of workers: list them, describe one, and dismiss one."""

from __future__ import annotations

import time

from msgspec import structs
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from herald_server.api.actions import (
    NO_BROKER,
    make_json_response,
    make_marked_response,
)
from herald_server.api.context import ServerContext
from herald_server.api.http.problems import Problem
from herald_server.api.http.query import parse_seconds
from herald_server.api.http.route_scopes import require
from herald_server.auth.quotas.response_slots import hold_answer_turn
from herald_server.control.dismiss_worker import (
    UnknownWorker,
    WorkerAlive,
    dismiss_worker,
)
from herald_server.insight.worker_pages import make_page, parse_limit
from herald_server.insight.workers.history import Span, parse_moment, read_history
from herald_server.insight.workers.state_log import StateLog

DEFAULT_WINDOW_S = 60.0
MAX_WINDOW_S = 86_400.0
"""Seconds of a worker's history in one answer."""


class WorkerRoutes:
    """Routes below `/api/v1/workers`."""

    def __init__(self, shared: ServerContext) -> None:
        self._shared = shared
        self._log = StateLog(shared.store)

    def list_routes(self) -> list[Route]:
        """Return the routes."""
        all_ = "/api/v1/workers"
        return [
            Route(all_, self.list_workers, methods=["GET"]),
            Route(f"{all_}/{{name:path}}/history", self.get_history, methods=["GET"]),
            Route(f"{all_}/{{name:path}}", self.describe, methods=["GET"]),
            Route(f"{all_}/{{name:path}}", self.dismiss, methods=["DELETE"]),
        ]

    @require("read")
    async def list_workers(self, request: Request) -> Response:
        """Return the known workers, by name: `limit` of them after `after`."""
        limit = parse_limit(request.query_params.get("limit"))
        async with hold_answer_turn():
            workers = await self._shared.store.list_workers(now=time.time())
            page = make_page(workers, limit, request.query_params.get("after"))
            return make_marked_response(self._shared, structs.asdict(page))

    @require("read", whole=True)
    async def describe(self, request: Request) -> Response:
        """Return a worker, and what it says of itself now; 404 if it is unknown.

        The worker is asked; what it does not answer within a second is absent.
        """
        if self._shared.worker_control is None:
            raise Problem(503, NO_BROKER)
        name: str = request.path_params["name"]
        try:
            found = await self._shared.worker_control.describe(name)
        except UnknownWorker as error:
            raise Problem(404, str(error)) from None
        return make_marked_response(self._shared, found)

    @require("read", whole=True)
    async def get_history(self, request: Request) -> Response:
        """Return what a worker did around `at`, in a span of `window` seconds.

        `at` is RFC 3339, or `02:13` in UTC; now by default.
        """
        query, now = request.query_params, time.time()
        window_s = parse_seconds(
            query.get("window"), DEFAULT_WINDOW_S, MAX_WINDOW_S, "window"
        )
        at = parse_moment(query.get("at"), now)
        span = Span(at - window_s / 2, at + window_s / 2)
        name: str = request.path_params["name"]
        async with hold_answer_turn():
            found = await read_history(self._shared.store, self._log, name, span)
        return make_marked_response(self._shared, found)

    @require("admin", whole=True)
    async def dismiss(self, request: Request) -> Response:
        """Delete the record of a worker: 404 if it is unknown, 409 if it is alive."""
        name: str = request.path_params["name"]
        try:
            done = await dismiss_worker(self._shared.store, self._shared.audit, name)
        except UnknownWorker as error:
            raise Problem(404, str(error)) from None
        except WorkerAlive as error:
            raise Problem(409, str(error)) from None
        return make_json_response(done)
