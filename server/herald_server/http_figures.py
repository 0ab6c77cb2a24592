"""The HTTP door's figures: queues, what the minutes tell, and the overview."""

from __future__ import annotations

import time
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from herald_monitor.errors import BadInput
from herald_monitor.model import shape
from herald_monitor.model.filters import parse_filter
from herald_monitor.model.shape import rfc3339
from herald_server import queues, series
from herald_server.by_name import by_name
from herald_server.failing import LATELY, failing, lately
from herald_server.health import Health
from herald_server.http_auth import allowed
from herald_server.http_orders import show_marked
from herald_server.minutes import DAY
from herald_server.query import filter_keys
from herald_server.state import Shared
from herald_server.suspects import held_tasks, suspects
from herald_server.worker_pages import FIRST_SCREEN, most_urgent, states_in

RUNNING_SHOWN = 50
FAILING_SHOWN = 20
NAMES_SHOWN = 500
SUSPECTS_SHOWN = 100


class Figures:
    """Routes that count, over all tasks: nothing for narrow tokens."""

    def __init__(self, shared: Shared, health: Health) -> None:
        self._shared = shared
        self._store = shared.store
        self._minutes = shared.minutes
        self._health = health

    def routes(self) -> list[Route]:
        """Return the routes."""
        v1 = "/api/v1"
        return [
            Route(f"{v1}/queues", self.queues, methods=["GET"]),
            Route(f"{v1}/stats/series", self.series, methods=["GET"]),
            Route(f"{v1}/types", self.types, methods=["GET"]),
            Route(f"{v1}/failing", self.failing, methods=["GET"]),
            Route(f"{v1}/suspects", self.suspects, methods=["GET"]),
            Route(f"{v1}/overview", self.overview, methods=["GET"]),
        ]

    @allowed("read", whole=True)
    async def queues(self, request: Request) -> Response:
        """Return the queues as they were measured last, by name."""
        now = time.time()
        found = await self._store.queues()
        return show_marked(
            self._shared, {"queues": [queues.shown(one, now) for one in found]}
        )

    @allowed("read", whole=True)
    async def series(self, request: Request) -> Response:
        """Return counts and runtimes over the last hour or day, in bins."""
        window = _window(request)
        names, of_queues = _chosen(request)
        return show_marked(self._shared, await self._series(window, names, of_queues))

    async def _series(
        self, window: str, names: tuple[str, ...] = (), of_queues: tuple[str, ...] = ()
    ) -> dict[str, Any]:
        now = time.time()
        length, step = series.WINDOWS[window]
        minutes = await self._minutes.since(length, now)
        found = series.bins(series.narrowed(minutes, names, of_queues), window, now)
        gaps = await self._store.gaps()
        workers = await self._store.workers(now=now)
        return {
            "window": window,
            "since": found[0].at,
            "until": rfc3339(now),
            "bin_seconds": step,
            "whole": series.is_whole(
                minutes, names=bool(names), queues=bool(of_queues)
            ),
            "bins": found,
            "marks": series.marks(gaps, workers, now - length),
        }

    @allowed("read", whole=True)
    async def types(self, request: Request) -> Response:
        """Return the task types of the catalog, and all names, with what they did."""
        now = time.time()
        total = (await self._minutes.day(LATELY, now)).whole
        return show_marked(
            self._shared,
            {
                "types": by_name(total, self._shared.catalog, listed=True),
                "allowed_names": self._shared.catalog.allow,
                "since": rfc3339(now - DAY),
                "until": rfc3339(now),
                "whole": series.is_whole([total], names=True, queues=False),
            },
        )

    @allowed("read", whole=True)
    async def failing(self, request: Request) -> Response:
        """Return what failed in the last five minutes, against how it usually does."""
        now = time.time()
        day = await self._minutes.day(LATELY, now)
        return show_marked(
            self._shared, {"failing": failing(day), "until": rfc3339(now)}
        )

    @allowed("read", whole=True)
    async def suspects(self, request: Request) -> Response:
        """Return the tasks to be worried about."""
        now = time.time()
        day = (await self._minutes.day(LATELY, now)).whole
        workers = await self._store.workers(now=now)
        held = await held_tasks(self._store)
        found = await suspects(self._store, held, day, workers, now)
        told = {
            "total": found.total,
            "counts": found.counts,
            "whole": found.whole,
            "suspects": found.listed[:SUSPECTS_SHOWN],
        }
        return show_marked(self._shared, told)

    @allowed("read", whole=True)
    async def overview(self, request: Request) -> Response:
        """Return all that the first screen shows, or only the `fields` asked for."""
        return show_marked(self._shared, _only(request, await self._first_screen()))

    async def _first_screen(self) -> dict[str, Any]:
        now = time.time()
        store = self._store
        day = await self._minutes.day(LATELY, now)
        workers = await store.workers(now=now)
        held = await held_tasks(store)
        running = held.running
        doubted = await suspects(store, held, day.whole, workers, now)
        counts = await store.counts()
        return {
            "as_of": rfc3339(now),
            "health": await self._health.report(),
            "counts": counts,
            "total": sum(counts.values()),
            "workers": most_urgent(workers, FIRST_SCREEN),
            "workers_total": len(workers),
            "workers_states": states_in(workers),
            "workers_whole": len(workers) <= FIRST_SCREEN,
            "queues": [queues.shown(one, now) for one in await store.queues()],
            "names": lately(day)[:NAMES_SHOWN],
            "lately_seconds": round(LATELY),
            "failing": failing(day)[:FAILING_SHOWN],
            "suspects": doubted.listed[:SUSPECTS_SHOWN],
            "suspects_total": doubted.total,
            "suspects_counts": doubted.counts,
            "suspects_whole": doubted.whole,
            "running": running[:RUNNING_SHOWN],
            "running_total": max(counts.get(shape.STARTED, 0), len(running)),
            "running_whole": held.whole,
            "series": await self._series("1h"),
        }


def _only(request: Request, body: dict[str, Any]) -> dict[str, Any]:
    """Return of `body` what the query's `fields` name, everything without them."""
    fields = [
        part for part in request.query_params.get("fields", "").split(",") if part
    ]
    for field in fields:
        if field not in body:
            raise BadInput(f"fields may name {', '.join(body)}; not {field}", "fields")
    return {field: body[field] for field in fields} or body


def _window(request: Request) -> str:
    window = request.query_params.get("window", "1h")
    if window not in series.WINDOWS:
        raise BadInput(f"window must be one of {', '.join(series.WINDOWS)}", "window")
    return window


def _chosen(request: Request) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names or queues that are asked for; not both are counted together."""
    given = filter_keys(request.query_params, ("window",))
    asked = parse_filter(dict(given))
    if given.keys() - {"name", "queue"} or (asked.name and asked.queue):
        raise BadInput("give name or queue, or neither, and window", "name")
    return asked.name or (), asked.queue or ()
