"""The HTTP door about one task, further: why it waits, its family, its result."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from herald_monitor.errors import BadInput
from herald_monitor.model.shape import EXPIRED, UNKNOWN
from herald_server import lineage
from herald_server.answer_turns import backend_turn
from herald_server.durations import Durations
from herald_server.explaining import Explaining
from herald_server.full_result import MOST, USUAL, WITHIN, full_result
from herald_server.http_auth import allowed
from herald_server.http_ids import literally, task_id
from herald_server.http_orders import show_marked, shown
from herald_server.problems import Problem
from herald_server.recent_groups import recent
from herald_server.state import Shared

GROUPS = 20
MOST_GROUPS = 100

Show = Callable[[str], Awaitable[Response]]


class About:
    """Routes about one task, and the groups of late.

    `show` answers with a task as it is, for an id that ends like one of the routes.
    """

    def __init__(self, shared: Shared, show: Show) -> None:
        self._shared = shared
        self._store = shared.store
        self._show = show
        control = shared.control
        durations = control.durations if control else Durations(shared.store)
        self._explaining = Explaining(shared.store, control, durations)

    def routes(self) -> list[Route]:
        """Return the routes."""
        task = "/api/v1/tasks/{id:path}"
        return [
            Route(f"{task}/why", self.why, methods=["GET"]),
            Route(f"{task}/tree", self.tree, methods=["GET"]),
            Route(f"{task}/result", self.result, methods=["GET"]),
            Route("/api/v1/groups", self.groups, methods=["GET"]),
        ]

    @allowed("read")
    async def why(self, request: Request) -> Response:
        """Return why a task does not get on, and what to do; workers are asked."""
        id_ = task_id(request)
        if not literally(request, "/why"):
            return await self._show(f"{id_}/why")
        facts, found = await self._explaining(id_)
        told = {
            "task_id": id_,
            "state": facts.task.state,
            "reason": found.reason,
            "message": found.message,
            "advice": found.advice,
            "queue": facts.task.queue,
            "worker": facts.task.worker,
            "workers_asked": len(facts.asked.answered),
            "as_of": facts.task.as_of,
        }
        known = {k: v for k, v in told.items() if v is not None}
        return show_marked(self._shared, known)

    @allowed("read")
    async def tree(self, request: Request) -> Response:
        """Return the family of a task; 404 if nothing is stored of it."""
        id_ = task_id(request)
        if not literally(request, "/tree"):
            return await self._show(f"{id_}/tree")
        task = await self._store.task(id_)
        if task.state in (UNKNOWN, EXPIRED):
            raise Problem(404, f"nothing is known (any more) of task {id_[:80]!r}")
        found = await lineage.family(self._store, task)
        return show_marked(
            self._shared,
            {
                "task_id": id_,
                "root": found.root,
                "whole": found.whole,
                "tasks": [lineage.shown(one) for one in found.tasks],
            },
        )

    @allowed("read")
    async def result(self, request: Request) -> Response:
        """Return the outcome of a task from the result backend; 404 if unknown."""
        id_ = task_id(request)
        if not literally(request, "/result"):
            return await self._show(f"{id_}/result")
        most = _whole_number(request, "most", USUAL, MOST)
        # Asked first: a task that is hidden from the caller is no task.
        task = await self._store.task(id_)
        if task.state == UNKNOWN:
            raise Problem(404, f"nothing is known of task {id_[:80]!r}")
        async with backend_turn(WITHIN):
            return shown(await full_result(self._shared.backend, task, most))

    @allowed("read")
    async def groups(self, request: Request) -> Response:
        """Return the groups and chains of the newest members."""
        limit = _whole_number(request, "limit", GROUPS, MOST_GROUPS)
        found = await recent(self._store, self._shared.groups, limit)
        return show_marked(self._shared, found)


def _whole_number(request: Request, key: str, usual: int, most: int) -> int:
    text = request.query_params.get(key)
    if text is None:
        return usual
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= most:
        raise BadInput(f"{key} must be a whole number from 1 to {most}", key)
    return int(text)
