"""REST routes of tasks, counts, health, probes and metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from herald_core.errors import InvalidInput, StoreError
from herald_core.model.filters import parse_filter
from herald_core.model.tasks import views
from herald_core.model.tasks.views import TaskView
from herald_core.system.cancellation import cancel_tasks
from herald_server.api.actions import (
    CONFIRMATION_KEY,
    ActionRoutes,
    answer_with_question,
    make_cancel_response,
    make_json_response,
    make_marked_response,
    make_started_response,
    parse_options_in,
    parse_ticket,
    refuse_unknown,
)
from herald_server.api.context import ServerContext
from herald_server.api.http.body import read_json_object
from herald_server.api.http.path_ids import has_literal_suffix, parse_task_id
from herald_server.api.http.problems import Problem
from herald_server.api.http.query import (
    parse_filter_keys,
    parse_limit,
    parse_seconds,
    parse_time,
)
from herald_server.api.http.route_scopes import require, require_scope
from herald_server.api.observability.health import HealthReporter
from herald_server.api.observability.metrics import render_metrics
from herald_server.api.operator.alerts import AlertRoutes
from herald_server.api.operator.deploys import DeployRoutes
from herald_server.api.operator.environments import EnvironmentRoutes
from herald_server.api.operator.failures import FailureRoutes
from herald_server.api.operator.queue_pauses import QueuePauseRoutes
from herald_server.api.operator.schedules import ScheduleRoutes
from herald_server.api.operator.search import SearchRoutes, is_search
from herald_server.api.operator.worker_orders import WorkerOrderRoutes
from herald_server.api.stats import StatsRoutes
from herald_server.api.task_details import TaskDetailRoutes
from herald_server.api.workers import WorkerRoutes
from herald_server.auth.identity import DEFAULT_ENVIRONMENT
from herald_server.auth.quotas.response_slots import hold_answer_turn
from herald_server.auth.quotas.watched_values import hold_filter_values
from herald_server.control.bulk.work.reruns import find_reruns, is_retriable
from herald_server.control.cancel.outcomes import UNKNOWN
from herald_server.control.start.send_options import OPTION_KEYS, parse_key

DEFAULT_WAIT_S = 30.0
MAX_WAIT_S = 60.0
"""Maximum seconds for which a request waits for a task to finish."""

PAGING_KEYS = ("limit", "page", "after", "before")


class TaskRoutes:
    """Routes below `/api/v1`, and the probes."""

    def __init__(self, shared: ServerContext) -> None:
        self._shared = shared
        self._store = shared.store
        self._health = HealthReporter(shared)
        self._actions = ActionRoutes(shared)
        self._details = TaskDetailRoutes(shared, self._respond_with_task)
        self._workers = WorkerRoutes(shared)
        self._worker_orders = WorkerOrderRoutes(shared)
        self._queue_pauses = QueuePauseRoutes(shared)
        self._stats = StatsRoutes(shared, self._health)
        self._search = SearchRoutes(shared)
        self._deploys = DeployRoutes(shared)

    def list_routes(self) -> list[Route]:
        """Return the routes."""
        v1 = "/api/v1"
        return [
            Route(f"{v1}/tasks", self.list_tasks, methods=["GET"]),
            Route(f"{v1}/tasks", self.start_task, methods=["POST"]),
            *self._search.list_routes(),
            # Ids may contain slashes, so routes with a suffix come first.
            Route(f"{v1}/tasks/{{id:path}}/wait", self.wait_for_task, methods=["GET"]),
            Route(f"{v1}/tasks/{{id:path}}/cancel", self.cancel_task, methods=["POST"]),
            *self._actions.list_routes(),
            *self._details.list_routes(),
            Route(f"{v1}/tasks/{{id:path}}", self.get_task, methods=["GET"]),
            *self._worker_orders.list_routes(),
            *self._queue_pauses.list_routes(),
            *self._workers.list_routes(),
            *self._stats.list_routes(),
            *FailureRoutes(self._shared).list_routes(),
            *AlertRoutes(self._shared).list_routes(),
            *ScheduleRoutes(self._shared).list_routes(),
            *self._deploys.list_routes(),
            *EnvironmentRoutes(self._shared).list_routes(),
            Route(f"{v1}/stats", self.get_counts, methods=["GET"]),
            Route(f"{v1}/health", self.get_health, methods=["GET"]),
            Route(f"{v1}/{{rest:path}}", self.refuse_path),
            Route("/metrics", self.get_metrics, methods=["GET"]),
            Route("/healthz", self.check_alive, methods=["GET"]),
            Route("/readyz", self.check_ready, methods=["GET"]),
        ]

    # -- reads ---------------------------------------------------------------

    @require("read")
    async def list_tasks(self, request: Request) -> Response:
        """Return a page of tasks, newest first, or those of a query.

        `next` of an answer is the `page` of the next one. With `q`, `sort` or `stream`
        it is a search.
        """
        query = request.query_params
        if is_search(query):
            return await self._search.respond(request)
        async with hold_answer_turn():
            page = await self._store.list_tasks(
                parse_filter(dict(parse_filter_keys(query, PAGING_KEYS))),
                limit=parse_limit(query.get("limit")),
                page=query.get("page"),
                after=parse_time(query.get("after"), "after"),
                before=parse_time(query.get("before"), "before"),
            )
            more = {"next": page.next} if page.next else {}
            return self._respond({"tasks": page.tasks, **more})

    @require("read")
    async def get_task(self, request: Request) -> Response:
        """Return one task with its attempts; 404 if it has no record.

        `retried_as` has the ids of its reruns, newest first.
        """
        return await self._respond_with_task(parse_task_id(request))

    def _respond(self, body: Mapping[str, Any], status: int = 200) -> Response:
        return make_marked_response(self._shared, body, status)

    async def _respond_with_task(self, id_: str) -> Response:
        task = await self._store.get_task(id_)
        attempts = await self._store.list_attempts(id_)
        reruns = await find_reruns(self._store, [id_]) if is_retriable(task) else {}
        more = {"retried_as": reruns[id_]} if reruns else {}
        return self._respond(
            {**views.to_dict(task), "attempts": attempts, **more}, _choose_status(task)
        )

    @require("read")
    async def wait_for_task(self, request: Request) -> Response:
        """Return a task once it has ended; with `timed_out` if it has not in time.

        `timeout` is in seconds, 30 by default.
        """
        id_ = parse_task_id(request)
        if not has_literal_suffix(request, "/wait"):
            # An escaped slash belongs to the id.
            return await self._respond_with_task(f"{id_}/wait")
        timeout_s = parse_seconds(
            request.query_params.get("timeout"), DEFAULT_WAIT_S, MAX_WAIT_S, "timeout"
        )
        with hold_filter_values(1):
            task = await self._wait_for(request, id_, timeout_s)
        late = {} if _is_over(task) else {"timed_out": True}
        return self._respond({**views.to_dict(task), **late}, _choose_status(task))

    async def _wait_for(self, request: Request, id_: str, timeout_s: float) -> TaskView:
        """Return the task once it has ended, or when the client is gone."""
        waiting = asyncio.create_task(
            self._shared.waiter.wait_for(id_, _is_over, timeout_s)
        )
        leaving = asyncio.create_task(_wait_for_disconnect(request))
        try:
            await asyncio.wait([waiting, leaving], return_when=asyncio.FIRST_COMPLETED)
            return (
                waiting.result() if waiting.done() else await self._store.get_task(id_)
            )
        finally:
            await cancel_tasks(waiting, leaving)

    @require("read")
    async def get_counts(self, request: Request) -> Response:
        """Return how many tasks are in each state."""
        counts = await self._store.count_by_state()
        return self._respond({"counts": counts, "total": sum(counts.values())})

    @require("read")
    async def get_health(self, request: Request) -> Response:
        """Return the health report."""
        return make_json_response(await self._health.make_report())

    # -- writes ----------------------------------------------------------------

    @require("start")
    async def start_task(self, request: Request) -> Response:
        """Start a task of the catalog: `{"task_type": …, "params": {…}}`, options.

        The same `idempotency_key` starts it once. 428 asks for a confirmation, if the
        type needs one.
        """
        control = self._actions.get_control()
        body = await read_json_object(request)
        refuse_unknown(
            body,
            ("task_type", "params"),
            ("idempotency_key", CONFIRMATION_KEY, *OPTION_KEYS),
        )
        task_type = body.get("task_type")
        params: object = body.get("params") or {}
        if not isinstance(task_type, str):
            raise InvalidInput("task_type must be a text")
        if not isinstance(params, dict):
            raise InvalidInput("params must be an object")
        with answer_with_question(control):
            started = await control.start(
                task_type,
                cast("dict[str, object]", params),
                parse_options_in(body).with_trace(request.headers.get("traceparent")),
                key=parse_key(body.get("idempotency_key")),
                who=request.state.identity.name,
                ticket=parse_ticket(body),
            )
        return make_json_response(make_started_response(started), 201)

    @require("cancel")
    async def cancel_task(self, request: Request) -> Response:
        """Cancel a task and return the result; 404 for an unknown id."""
        done = await self._actions.get_control().cancel(parse_task_id(request))
        if done.outcome == UNKNOWN:
            return make_json_response(
                make_cancel_response(done) | {"detail": done.message}, 404
            )
        return make_json_response(make_cancel_response(done))

    # -- probes ------------------------------------------------------------------

    async def check_alive(self, request: Request) -> Response:
        """Return 200 while the process runs."""
        return make_json_response({"status": "ok"})

    async def check_ready(self, request: Request) -> Response:
        """Return 200 if the data is up to date, else 503."""
        try:
            why = await self._health.find_problem()
        except StoreError as error:
            why = str(error)
        if why:
            raise Problem(503, why)
        return make_json_response({"status": "ready"})

    @require("read", whole=True)
    async def get_metrics(self, request: Request) -> Response:
        """Return all metrics in Prometheus' text format."""
        shared, others = self._shared, dict[str, ServerContext | None]()
        if shared.environment == DEFAULT_ENVIRONMENT:
            who = require_scope(request.scope, "read")
            others = cast(
                dict[str, ServerContext | None], shared.environments.list_others(who)
            )
        accept = request.headers.get("accept", "")
        text, media_type = await render_metrics(shared, others, accept)
        return Response(text, media_type=media_type)

    @require("read")
    async def refuse_path(self, request: Request) -> Response:
        """Return 404 for an unknown path."""
        raise Problem(404, f"there is nothing at {request.url.path}")


def _choose_status(task: views.TaskView) -> int:
    return 404 if task.state in (views.UNKNOWN, views.EXPIRED) else 200


def _is_over(task: TaskView) -> bool:
    return task.final or task.state == views.EXPIRED


async def _wait_for_disconnect(request: Request) -> None:
    """Return when the client has disconnected."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
