"""REST routes of schedules: list them, mark one, run one now."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from herald_server.api.actions import (
    CONFIRMATION_KEY,
    NO_BROKER,
    answer_with_question,
    make_json_response,
    make_marked_response,
    make_started_response,
    parse_ticket,
    refuse_unknown,
)
from herald_server.api.context import ServerContext
from herald_server.api.http.body import read_json_object
from herald_server.api.http.problems import Problem
from herald_server.api.http.route_scopes import require
from herald_server.control.schedules import ACTIONS, MarkAction
from herald_server.insight.schedules.reader import UnknownSchedule, count_states


class ScheduleRoutes:
    """Routes below `/api/v1/schedules`: not for narrow tokens."""

    def __init__(self, shared: ServerContext) -> None:
        self._shared = shared
        self._orders = shared.schedule_orders

    def list_routes(self) -> list[Route]:
        """Return the routes."""
        all_ = "/api/v1/schedules"
        return [
            Route(all_, self.list_schedules, methods=["GET"]),
            Route(f"{all_}/{{id}}", self.get_schedule, methods=["GET"]),
            Route(f"{all_}/{{id}}/run", self.run_now, methods=["POST"]),
            Route(f"{all_}/{{id}}/{{action}}", self.mark, methods=["POST"]),
        ]

    @require("read", whole=True)
    async def list_schedules(self, request: Request) -> Response:
        """Return all schedules, the most urgent first, and their sources."""
        found = await self._shared.schedules.read_all()
        body = {
            "schedules": found.schedules,
            "total": len(found.schedules),
            "states": count_states(found.schedules),
            "sources": msgspec.to_builtins(found.sources),
        }
        return make_marked_response(self._shared, body)

    @require("read", whole=True)
    async def get_schedule(self, request: Request) -> Response:
        """Return one schedule; 404 if it is unknown."""
        with answer_unknown():
            found = await self._shared.schedules.find(request.path_params["id"])
        return make_marked_response(self._shared, found)

    @require("admin", whole=True)
    async def mark(self, request: Request) -> Response:
        """Confirm, mute or unmute a schedule."""
        action = _parse_action(request.path_params["action"])
        refuse_unknown(await read_json_object(request, empty=True), (), ())
        with answer_unknown():
            done = await self._orders.mark(request.path_params["id"], action)
        return make_json_response(done)

    @require("start", whole=True)
    async def run_now(self, request: Request) -> Response:
        """Run a schedule now, with its own arguments."""
        control = self._orders.control
        if control is None:
            raise Problem(503, NO_BROKER)
        body = await read_json_object(request, empty=True)
        refuse_unknown(body, (), (CONFIRMATION_KEY,))
        with answer_with_question(control), answer_unknown():
            started = await self._orders.run(
                control, request.path_params["id"], ticket=parse_ticket(body)
            )
        return make_json_response(make_started_response(started), 201)


@contextmanager
def answer_unknown() -> Generator[None]:
    """Answer 404 for an unknown schedule."""
    try:
        yield
    except UnknownSchedule as error:
        raise Problem(404, str(error)) from None


def _parse_action(text: Any) -> MarkAction:
    for action in ACTIONS:
        if action == text:
            return action
    raise Problem(404, f"a schedule can be {', '.join(ACTIONS)} or run, not {text!r}")
