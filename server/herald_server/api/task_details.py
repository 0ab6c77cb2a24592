"""REST routes of the details of one task: diagnosis, tree, result; recent groups."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from herald_core.errors import InvalidInput
from herald_core.model.hidden_fields import hide_fields
from herald_core.model.tasks.views import EXPIRED, UNKNOWN
from herald_server.api.actions import make_json_response, make_marked_response
from herald_server.api.context import ServerContext
from herald_server.api.http.path_ids import has_literal_suffix, parse_task_id
from herald_server.api.http.problems import Problem
from herald_server.api.http.route_scopes import require
from herald_server.auth import request_context
from herald_server.auth.quotas.response_slots import hold_backend_turn
from herald_server.diagnosis.explain import TaskDiagnoser
from herald_server.insight import family_tree
from herald_server.insight.full_result import (
    DEFAULT_BYTES,
    MAX_BYTES,
    TIMEOUT_S,
    read_full_result,
)
from herald_server.insight.groups.recent import read_recent_groups
from herald_server.insight.stats.durations import RuntimeEstimator

DEFAULT_GROUPS = 20
MAX_GROUPS = 100

RespondWithTask = Callable[[str], Awaitable[Response]]


class TaskDetailRoutes:
    """Routes about one task, and the recent groups.

    `show` responds with the task itself, for an id that ends like one of the routes.
    """

    def __init__(self, shared: ServerContext, show: RespondWithTask) -> None:
        self._shared = shared
        self._store = shared.store
        self._respond_with_task = show
        control = shared.control
        durations = control.durations if control else RuntimeEstimator(shared.store)
        self._diagnoser = TaskDiagnoser(shared.store, control, durations)

    def list_routes(self) -> list[Route]:
        """Return the routes."""
        task = "/api/v1/tasks/{id:path}"
        return [
            Route(f"{task}/why", self.explain, methods=["GET"]),
            Route(f"{task}/tree", self.get_tree, methods=["GET"]),
            Route(f"{task}/result", self.get_result, methods=["GET"]),
            Route("/api/v1/groups", self.list_groups, methods=["GET"]),
        ]

    @require("read")
    async def explain(self, request: Request) -> Response:
        """Return why a task makes no progress, and what to do; workers are queried."""
        id_ = parse_task_id(request)
        if not has_literal_suffix(request, "/why"):
            return await self._respond_with_task(f"{id_}/why")
        facts, found = await self._diagnoser(id_)
        body = {
            "task_id": id_,
            "state": facts.task.state,
            "reason": found.reason,
            "message": found.message,
            "advice": found.advice,
            "queue": facts.task.queue,
            "worker": facts.task.worker,
            "workers_asked": len(facts.answers.answered),
            "as_of": facts.task.as_of,
        }
        known = {k: v for k, v in body.items() if v is not None}
        return make_marked_response(self._shared, known)

    @require("read")
    async def get_tree(self, request: Request) -> Response:
        """Return the family tree of a task; 404 if it has no record."""
        id_ = parse_task_id(request)
        if not has_literal_suffix(request, "/tree"):
            return await self._respond_with_task(f"{id_}/tree")
        task = await self._store.get_task(id_)
        if task.state in (UNKNOWN, EXPIRED):
            raise Problem(404, f"nothing is known (any more) of task {id_[:80]!r}")
        found = await family_tree.load_family(self._store, task)
        return make_marked_response(
            self._shared,
            {
                "task_id": id_,
                "root": found.root,
                "whole": found.whole,
                "tasks": [family_tree.to_tree_node(one) for one in found.tasks],
            },
        )

    @require("read")
    async def get_result(self, request: Request) -> Response:
        """Return the outcome of a task from the result backend; 404 if unknown.

        Of a result of more than `most` bytes (a million by default) only the size is
        returned.
        """
        id_ = parse_task_id(request)
        if not has_literal_suffix(request, "/result"):
            return await self._respond_with_task(f"{id_}/result")
        max_bytes = _parse_whole_number(request, "most", DEFAULT_BYTES, MAX_BYTES)
        # Checked first: a task that is hidden from the caller does not exist for it.
        task = await self._store.get_task(id_)
        if task.state == UNKNOWN:
            raise Problem(404, f"nothing is known of task {id_[:80]!r}")
        async with hold_backend_turn(TIMEOUT_S):
            found = await read_full_result(self._shared.backend, task, max_bytes)
        only = request_context.get_task_filter()
        return make_json_response(hide_fields(found, only))

    @require("read")
    async def list_groups(self, request: Request) -> Response:
        """Return the groups and chains of the newest members."""
        limit = _parse_whole_number(request, "limit", DEFAULT_GROUPS, MAX_GROUPS)
        found = await read_recent_groups(self._store, self._shared.groups, limit)
        return make_marked_response(self._shared, found)


def _parse_whole_number(request: Request, key: str, usual: int, limit: int) -> int:
    text = request.query_params.get(key)
    if text is None:
        return usual
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= limit:
        raise InvalidInput(f"{key} must be a whole number from 1 to {limit}", key)
    return int(text)
