"""REST routes of queries: a page, or a stream of what is found."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Mapping

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from herald_core.errors import HeraldError, InvalidInput
from herald_core.model.codec import to_json
from herald_core.model.filters import parse_filter
from herald_core.model.queries.query_text import MAX_QUERY_CHARS
from herald_core.model.queries.task_query import TaskQuery
from herald_core.model.tasks.views import to_dict
from herald_server.api.actions import make_json_response, make_marked_response
from herald_server.api.context import ServerContext
from herald_server.api.http.query import parse_filter_keys, parse_limit, parse_time
from herald_server.api.http.route_scopes import require
from herald_server.insight.search.export_rows import (
    FORMATS,
    parse_columns,
    parse_format,
)
from herald_server.insight.search.query_request import make_query
from herald_server.insight.search.task_export import MAX_EXPORTED, TaskExport
from herald_server.insight.search.task_search import SearchStep

NDJSON = "application/x-ndjson"

SEARCH_KEYS = ("q", "sort", "tz", "stream", "limit", "page", "after", "before")
EXPORT_KEYS = ("q", "sort", "tz", "format", "columns", "limit", "after", "before")
"""Parameters that are no keys of the filter."""

SUGGEST_KEYS = ("q", "limit")
DEFAULT_SUGGESTIONS = 10
MAX_SUGGESTIONS = 50


class SearchRoutes:
    """`GET /api/v1/tasks?q=…`, its export, and suggestions for `q`."""

    def __init__(self, shared: ServerContext) -> None:
        self._shared = shared
        self._search = shared.search

    def list_routes(self) -> list[Route]:
        """Return the routes."""
        tasks = "/api/v1/tasks"
        return [
            Route(f"{tasks}/export", self.export_tasks, methods=["GET"]),
            Route(f"{tasks}/suggest", self.suggest, methods=["GET"]),
        ]

    @require("read")
    async def suggest(self, request: Request) -> Response:
        """Return what may be written next: `?q=kwargs.order_id:12&limit=10`."""
        given = request.query_params
        unknown = sorted(given.keys() - set(SUGGEST_KEYS))
        if unknown:
            raise InvalidInput(
                f"unknown parameter {unknown[0][:40]!r}; there are "
                f"{' and '.join(SUGGEST_KEYS)}",
                unknown[0],
            )
        text = given.get("q", "")
        if len(text) > MAX_QUERY_CHARS:
            raise InvalidInput(f"a query has at most {MAX_QUERY_CHARS} characters", "q")
        limit = parse_limit(given.get("limit"), DEFAULT_SUGGESTIONS, MAX_SUGGESTIONS)
        found = await self._shared.suggester.suggest(text, limit)
        return make_json_response({"suggestions": found})

    @require("read")
    async def export_tasks(self, request: Request) -> Response:
        """Stream the tasks of a query: `?format=csv&columns=id,args&q=…`.

        The end of the answer says whether these are all.
        """
        parameters = request.query_params
        query = parse_query(request, EXPORT_KEYS)
        if query.sort is not None:
            raise InvalidInput("an export is newest first; leave sort out", "sort")
        format_ = parse_format(parameters.get("format"))
        columns = parse_columns(parameters.get("columns"))
        limit = parse_limit(parameters.get("limit"), MAX_EXPORTED, MAX_EXPORTED)
        export = TaskExport(self._search, self._shared.audit)
        return StreamingResponse(
            export.stream(query, format_, columns, limit),
            media_type=FORMATS[format_],
            headers={"Content-Disposition": f'attachment; filename="tasks.{format_}"'},
        )

    async def respond(self, request: Request) -> Response:
        """Return a page of a query, or stream its steps as NDJSON."""
        parameters = request.query_params
        query = parse_query(request)
        page, limit = parameters.get("page"), parse_limit(parameters.get("limit"))
        if not is_stream(request) or query.sort is not None:
            step = await self._search.search(query, page=page, limit=limit)
            return make_marked_response(self._shared, make_step_body(step))
        steps = self._search.iter_steps(query, page=page, limit=limit)
        # The first step is read before the status is sent: errors get their own.
        first = await anext(steps)
        return StreamingResponse(_iter_lines(first, steps), media_type=NDJSON)


def is_search(parameters: Mapping[str, str]) -> bool:
    """Return True if the list of tasks is requested as a query."""
    return not {"q", "sort", "stream"}.isdisjoint(parameters)


def is_stream(request: Request) -> bool:
    """Return True if the answer is to be a stream of lines."""
    if request.query_params.get("stream") == "1":
        return True
    return NDJSON in request.headers.get("accept", "")


def parse_query(request: Request, own: tuple[str, ...] = SEARCH_KEYS) -> TaskQuery:
    """Return the query of a request. Raises `InvalidInput`.

    `own` are the parameters that are no keys of the filter.
    """
    given = request.query_params
    return make_query(
        given.get("q"),
        parse_filter(dict(parse_filter_keys(given, own))),
        now=time.time(),
        after=parse_time(given.get("after"), "after"),
        before=parse_time(given.get("before"), "before"),
        sort=given.get("sort"),
        zone=given.get("tz"),
    )


def make_step_body(step: SearchStep) -> dict[str, object]:
    """Return the members of an answer with `step`."""
    return {**to_dict(step), "tasks": step.tasks, "whole": step.whole}


async def _iter_lines(
    first: SearchStep, steps: AsyncGenerator[SearchStep]
) -> AsyncGenerator[bytes]:
    """Yield a line for each step; the last one has `done` or an `error`."""
    try:
        last = first
        yield to_json(make_step_body(first)) + b"\n"
        async for last in steps:
            yield to_json(make_step_body(last)) + b"\n"
        yield to_json({"done": True, **({"next": last.next} if last.next else {})})
        yield b"\n"
    except HeraldError as error:
        yield to_json({"done": False, "error": str(error)}) + b"\n"
    finally:
        await steps.aclose()
