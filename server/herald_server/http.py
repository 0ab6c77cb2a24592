"""The HTTP door: reads, start and cancel, health. The API needs a bearer token."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from herald_monitor.errors import BadInput, StoreError
from herald_monitor.model import shape
from herald_monitor.model.filters import Filter, parse_filter
from herald_server.answer_turns import answer_turn
from herald_server.cancel_outcomes import UNKNOWN
from herald_server.health import Health
from herald_server.held_values import holding_values
from herald_server.http_about import About
from herald_server.http_auth import allowed
from herald_server.http_body import json_object
from herald_server.http_figures import Figures
from herald_server.http_ids import literally, task_id
from herald_server.http_orders import (
    CONFIRMATION,
    Orders,
    asking,
    cancelled,
    options_of,
    queued,
    refuse_unknown,
    show_marked,
    shown,
    ticket_in,
)
from herald_server.http_workers import WorkerRoutes
from herald_server.metrics import MEDIA_TYPE, exposition
from herald_server.options import KEYS, parse_key
from herald_server.polling import LongPolls, over
from herald_server.problems import Problem
from herald_server.query import filter_keys, seconds
from herald_server.state import Shared

MAX_PAGE = 1_000

WAIT = 30.0
MAX_WAIT = 60.0
"""Seconds for which a request may wait for the end of a task."""

ZONED = re.compile(r"T.*(?:Z|[+-]\d\d:\d\d)$", re.IGNORECASE)
"""The end of a time that is the same time everywhere."""

PAGING = ("limit", "page", "after", "before")


class Api:
    """The routes below `/api/v1`, and the probes."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._store = shared.store
        self._health = Health(shared)
        self._more = Orders(shared)
        self._about = About(shared, self._shown_task)
        self._workers = WorkerRoutes(shared)
        self._figures = Figures(shared, self._health)
        self.polls = LongPolls(shared.hub, shared.store)

    def routes(self) -> list[Route]:
        """Return the routes."""
        v1 = "/api/v1"
        return [
            Route(f"{v1}/tasks", self.tasks, methods=["GET"]),
            Route(f"{v1}/tasks", self.start, methods=["POST"]),
            # Ids may hold slashes, so what has a suffix comes first.
            Route(f"{v1}/tasks/{{id:path}}/wait", self.wait, methods=["GET"]),
            Route(f"{v1}/tasks/{{id:path}}/cancel", self.cancel, methods=["POST"]),
            *self._more.routes(),
            *self._about.routes(),
            Route(f"{v1}/tasks/{{id:path}}", self.task, methods=["GET"]),
            *self._workers.routes(),
            *self._figures.routes(),
            Route(f"{v1}/stats", self.stats, methods=["GET"]),
            Route(f"{v1}/health", self.health, methods=["GET"]),
            Route(f"{v1}/{{rest:path}}", self.nothing),
            Route("/metrics", self.metrics, methods=["GET"]),
            Route("/healthz", self.alive, methods=["GET"]),
            Route("/readyz", self.ready, methods=["GET"]),
        ]

    # -- reads ---------------------------------------------------------------

    @allowed("read")
    async def tasks(self, request: Request) -> Response:
        """Return a page of tasks, newest first."""
        query = request.query_params
        async with answer_turn():
            page = await self._store.page(
                _filter(request),
                limit=_limit(query.get("limit")),
                page=query.get("page"),
                after=_time(query.get("after"), "after"),
                before=_time(query.get("before"), "before"),
            )
            more = {"next": page.next} if page.next else {}
            return self._show({"tasks": page.tasks, **more})

    @allowed("read")
    async def task(self, request: Request) -> Response:
        """Return one task with its attempts; 404 if nothing is stored."""
        return await self._shown_task(task_id(request))

    def _show(self, body: Mapping[str, Any], status: int = 200) -> Response:
        return show_marked(self._shared, body, status)

    async def _shown_task(self, id_: str) -> Response:
        task = await self._store.task(id_)
        attempts = await self._store.attempts(id_)
        return self._show({**shape.to_dict(task), "attempts": attempts}, _found(task))

    @allowed("read")
    async def wait(self, request: Request) -> Response:
        """Return a task once it has ended; `timed_out` if it has not in time."""
        id_ = task_id(request)
        if not literally(request, "/wait"):
            # An escaped slash belongs to the id.
            return await self._shown_task(f"{id_}/wait")
        most = seconds(request.query_params.get("timeout"), WAIT, MAX_WAIT, "timeout")
        with holding_values(1):
            task = await self.polls.wait(id_, most, _left(request))
        late = {} if over(task) else {"timed_out": True}
        return self._show({**shape.to_dict(task), **late}, _found(task))

    @allowed("read")
    async def stats(self, request: Request) -> Response:
        """Return how many tasks are in each state."""
        counts = await self._store.counts()
        return self._show({"counts": counts, "total": sum(counts.values())})

    @allowed("read")
    async def health(self, request: Request) -> Response:
        """Return what Herald knows about itself."""
        return shown(await self._health.report())

    # -- orders ----------------------------------------------------------------

    @allowed("start")
    async def start(self, request: Request) -> Response:
        """Start a task of the catalog: `{"task_type": …, "params": {…}}`, options."""
        control = self._more.control()
        body = await json_object(request)
        refuse_unknown(
            body, ("task_type", "params"), ("idempotency_key", CONFIRMATION, *KEYS)
        )
        task_type = body.get("task_type")
        params: object = body.get("params") or {}
        if not isinstance(task_type, str):
            raise BadInput("task_type must be a text")
        if not isinstance(params, dict):
            raise BadInput("params must be an object")
        with asking(control):
            started = await control.start(
                task_type,
                cast("dict[str, object]", params),
                options_of(body).traced(request.headers.get("traceparent")),
                key=parse_key(body.get("idempotency_key")),
                who=request.state.identity.name,
                ticket=ticket_in(body),
            )
        return shown(queued(started), 201)

    @allowed("cancel")
    async def cancel(self, request: Request) -> Response:
        """Cancel a task; the answer says what came of it, with 404 of an unknown id."""
        done = await self._more.control().cancel(task_id(request))
        if done.outcome == UNKNOWN:
            return shown(cancelled(done) | {"detail": done.message}, 404)
        return shown(cancelled(done))

    # -- probes ------------------------------------------------------------------

    async def alive(self, request: Request) -> Response:
        """Say that the process lives."""
        return shown({"status": "ok"})

    async def ready(self, request: Request) -> Response:
        """Say whether what this process shows can be trusted: 503 if not."""
        try:
            why = await self._health.unready()
        except StoreError as error:
            why = str(error)
        if why:
            raise Problem(503, why)
        return shown({"status": "ready"})

    @allowed("read", whole=True)
    async def metrics(self, request: Request) -> Response:
        """Return all metrics in Prometheus' text format."""
        return Response(await exposition(self._shared), media_type=MEDIA_TYPE)

    @allowed("read")
    async def nothing(self, request: Request) -> Response:
        """Answer paths that lead nowhere."""
        raise Problem(404, f"there is nothing at {request.url.path}")


def _found(task: shape.TaskImage) -> int:
    return 404 if task.state in (shape.UNKNOWN, shape.EXPIRED) else 200


async def _left(request: Request) -> None:
    """Return when the client is gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _filter(request: Request) -> Filter:
    return parse_filter(dict(filter_keys(request.query_params, PAGING)))


def _limit(text: str | None) -> int:
    if text is None:
        return 100
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= MAX_PAGE:
        raise BadInput(f"limit must be a whole number from 1 to {MAX_PAGE}", "limit")
    return int(text)


def _time(text: str | None, key: str) -> float | None:
    if text is None:
        return None
    # An unescaped + in a query is a space.
    text = text.replace(" ", "+")
    if ZONED.search(text):
        try:
            return shape.unix(text)
        except (ValueError, OverflowError):
            pass
    raise BadInput(f"{key} must be an RFC 3339 time such as 2026-01-31T12:00:00Z", key)
