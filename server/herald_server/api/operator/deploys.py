"""REST routes of marks, and of what became slower since one."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from herald_core.errors import InvalidInput
from herald_server.api.actions import make_json_response, make_marked_response
from herald_server.api.context import ServerContext
from herald_server.api.http.body import read_json_object
from herald_server.api.http.problems import Problem
from herald_server.api.http.route_scopes import require
from herald_server.auth.quotas.response_slots import hold_answer_turn
from herald_server.control.marks import parse_mark_request
from herald_server.insight.deploys.marks import UnknownMark, list_marks
from herald_server.insight.deploys.periods import parse_window


class DeployRoutes:
    """`/api/v1/marks`, `/api/v1/slower` and `/api/v1/types/{name}/compare`."""

    def __init__(self, shared: ServerContext) -> None:
        self._shared = shared

    def list_routes(self) -> list[Route]:
        """Return the routes."""
        v1 = "/api/v1"
        return [
            Route(f"{v1}/marks", self.list_marks, methods=["GET"]),
            Route(f"{v1}/marks", self.add_mark, methods=["POST"]),
            Route(f"{v1}/marks/{{id}}", self.delete_mark, methods=["DELETE"]),
            Route(f"{v1}/slower", self.list_slower, methods=["GET"]),
            # Names may contain slashes.
            Route(f"{v1}/types/{{name:path}}/compare", self.compare, methods=["GET"]),
        ]

    @require("read", whole=True)
    async def list_marks(self, request: Request) -> Response:
        """Return the marks of the last days, the newest first."""
        marks = await list_marks(self._shared.store, time.time())
        return make_marked_response(self._shared, {"marks": marks})

    @require("mark", whole=True)
    async def add_mark(self, request: Request) -> Response:
        """Set a mark: `{"what": "deploy 4f1c"}`, and `at` and `version` if known."""
        body = await read_json_object(request)
        mark = await self._shared.marks.add(parse_mark_request(body, time.time()))
        return make_json_response(mark, 201)

    @require("mark", whole=True)
    async def delete_mark(self, request: Request) -> Response:
        """Delete a mark; 404 if it is unknown."""
        mark_id: str = request.path_params["id"]
        with _answer_404():
            await self._shared.marks.delete(mark_id)
        return make_json_response({"id": mark_id, "message": "The mark is deleted."})

    @require("read", whole=True)
    async def list_slower(self, request: Request) -> Response:
        """Return the names that are slower since a mark, or fail more often.

        By default since the newest mark; `window`, such as `1h`, is the time on each
        side that is compared.
        """
        mark_id, window = _parse_query(request)
        with _answer_404():
            async with hold_answer_turn():
                found = await self._shared.deploys.list_slower(
                    mark_id, window, time.time()
                )
        return make_marked_response(self._shared, found)

    @require("read", whole=True)
    async def compare(self, request: Request) -> Response:
        """Return the runs of one name before and after a mark."""
        mark_id, window = _parse_query(request)
        with _answer_404():
            found = await self._shared.deploys.compare_name(
                request.path_params["name"], mark_id, window, time.time()
            )
        return make_marked_response(self._shared, found)


def _parse_query(request: Request) -> tuple[str | None, float]:
    """Return the id of the mark (None: the newest) and the window in seconds."""
    query = request.query_params
    unknown = sorted(query.keys() - {"mark", "window"})
    if unknown:
        raise InvalidInput(f"unknown key {unknown[0]!r}; give mark and window")
    return query.get("mark") or None, parse_window(query.get("window"))


@contextmanager
def _answer_404() -> Generator[None]:
    """Respond with 404 to an unknown mark."""
    try:
        yield
    except UnknownMark as error:
        raise Problem(404, str(error)) from None
