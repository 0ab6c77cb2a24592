"""REST routes of failures by cause."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from herald_core.errors import InvalidInput
from herald_core.model.filters import parse_filter
from herald_server.api.actions import make_marked_response
from herald_server.api.context import ServerContext
from herald_server.api.http.problems import Problem
from herald_server.api.http.query import parse_filter_keys, parse_time
from herald_server.api.http.route_scopes import require
from herald_server.insight.failures.reader import (
    DEFAULT_LIMIT,
    MAX_LIMIT,
    to_plain,
)

OWN_KEYS = ("window", "after", "before", "limit")


class FailureRoutes:
    """Routes below `/api/v1/failures`: not for task-scoped tokens."""

    def __init__(self, shared: ServerContext) -> None:
        self._shared = shared

    def list_routes(self) -> list[Route]:
        """Return the routes."""
        all_ = "/api/v1/failures"
        return [
            Route(all_, self.list_causes, methods=["GET"]),
            Route(f"{all_}/{{fingerprint}}", self.get_cause, methods=["GET"]),
        ]

    @require("read", whole=True)
    async def list_causes(self, request: Request) -> Response:
        """Return the causes of the failures in a window, the most frequent first.

        `window` is `10m`, `15m`, `1h` or `24h`; `after` and `before` give another time
        within the last day.
        """
        query = request.query_params
        found = await self._shared.failures.list_causes(
            query.get("window"),
            _parse_names(request),
            _parse_limit(query.get("limit")),
            parse_time(query.get("after"), "after"),
            parse_time(query.get("before"), "before"),
        )
        return make_marked_response(self._shared, to_plain(found))

    @require("read", whole=True)
    async def get_cause(self, request: Request) -> Response:
        """Return one cause with its spread; 404 if nothing is known of it."""
        fingerprint: str = request.path_params["fingerprint"]
        window = request.query_params.get("window", "24h")
        found = await self._shared.failures.get_cause(fingerprint, window)
        if found is None:
            raise Problem(
                404,
                f"no failure has the fingerprint {fingerprint[:40]!r}; list them with "
                "GET /api/v1/failures",
            )
        return make_marked_response(self._shared, to_plain(found))


def _parse_names(request: Request) -> tuple[str, ...]:
    given = parse_filter_keys(request.query_params, OWN_KEYS)
    if given.keys() - {"name"}:
        raise InvalidInput("failures may be selected by name and time only", "name")
    return parse_filter(dict(given)).name or ()


def _parse_limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_LIMIT
    if text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MAX_LIMIT:
        return int(text)
    raise InvalidInput(f"limit must be a whole number from 1 to {MAX_LIMIT}", "limit")
