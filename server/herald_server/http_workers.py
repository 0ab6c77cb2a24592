"""The HTTP door of workers: those that were heard of, and dismissing one."""

from __future__ import annotations

import time

from msgspec import structs
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from herald_server.answer_turns import answer_turn
from herald_server.dismissing import NoWorker, StillLives, dismiss_worker
from herald_server.http_auth import allowed
from herald_server.http_orders import show_marked, shown
from herald_server.problems import Problem
from herald_server.state import Shared
from herald_server.worker_pages import limit_in, page_of


class WorkerRoutes:
    """Routes below `/api/v1/workers`."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared

    def routes(self) -> list[Route]:
        """Return the routes."""
        all_ = "/api/v1/workers"
        return [
            Route(all_, self.list, methods=["GET"]),
            Route(f"{all_}/{{name:path}}", self.dismiss, methods=["DELETE"]),
        ]

    @allowed("read")
    async def list(self, request: Request) -> Response:
        """Return the workers that were heard of, by name; `limit` behind `after`."""
        limit = limit_in(request.query_params.get("limit"))
        async with answer_turn():
            workers = await self._shared.store.workers(now=time.time())
            page = page_of(workers, limit, request.query_params.get("after"))
            return show_marked(self._shared, structs.asdict(page))

    @allowed("admin", whole=True)
    async def dismiss(self, request: Request) -> Response:
        """Forget a worker that is gone: 404 if none is known, 409 if it lives."""
        name: str = request.path_params["name"]
        try:
            done = await dismiss_worker(self._shared.store, self._shared.audit, name)
        except NoWorker as error:
            raise Problem(404, str(error)) from None
        except StillLives as error:
            raise Problem(409, str(error)) from None
        return shown(done)
