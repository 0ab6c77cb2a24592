"""REST routes of statistics: queues, rollups and the overview."""

from __future__ import annotations

import time
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from herald_core.errors import InvalidInput
from herald_core.model.filters import parse_filter
from herald_core.model.tasks import views
from herald_core.model.tasks.views import to_rfc3339
from herald_server.api.actions import make_marked_response
from herald_server.api.context import ServerContext
from herald_server.api.http.query import parse_filter_keys
from herald_server.api.http.route_scopes import require
from herald_server.api.observability.health import HealthReporter
from herald_server.insight import queues
from herald_server.insight.deploys.marks import list_marks
from herald_server.insight.schedules.reader import list_alerts
from herald_server.insight.stats import timeseries
from herald_server.insight.stats.by_name import collect_type_stats
from herald_server.insight.stats.failures import RECENT_S, collect_recent, find_failing
from herald_server.insight.stats.rollup_cache import DAY_S
from herald_server.insight.stats.suspects import find_suspects, read_held_tasks
from herald_server.insight.worker_pages import (
    MAX_OVERVIEW_WORKERS,
    count_states,
    select_most_urgent,
)

MAX_RUNNING = 50
MAX_FAILING = 20
MAX_NAMES = 500
MAX_SUSPECTS = 100
MAX_ALERTS = 100


class StatsRoutes:
    """Routes of statistics over all tasks: not for task-scoped tokens."""

    def __init__(self, shared: ServerContext, health: HealthReporter) -> None:
        self._shared = shared
        self._store = shared.store
        self._rollups = shared.rollups
        self._health = health

    def list_routes(self) -> list[Route]:
        """Return the routes."""
        v1 = "/api/v1"
        return [
            Route(f"{v1}/queues", self.list_queues, methods=["GET"]),
            Route(f"{v1}/stats/series", self.get_series, methods=["GET"]),
            Route(f"{v1}/types", self.list_types, methods=["GET"]),
            Route(f"{v1}/failing", self.list_failing, methods=["GET"]),
            Route(f"{v1}/suspects", self.list_suspects, methods=["GET"]),
            Route(f"{v1}/overview", self.get_overview, methods=["GET"]),
        ]

    @require("read", whole=True)
    async def list_queues(self, request: Request) -> Response:
        """Return the queues as last measured, by name."""
        now = time.time()
        found = await self._store.list_queues()
        return make_marked_response(
            self._shared, {"queues": [queues.to_view(one, now) for one in found]}
        )

    @require("read", whole=True)
    async def get_series(self, request: Request) -> Response:
        """Return counts and runtimes over the last hour or day, in bins.

        Of all tasks, or of those with a `name` or a `queue`; `*` and `?` are wild.
        """
        window = _parse_window(request)
        names, of_queues = _parse_selection(request)
        return make_marked_response(
            self._shared, await self._read_series(window, names, of_queues)
        )

    async def _read_series(
        self, window: str, names: tuple[str, ...] = (), of_queues: tuple[str, ...] = ()
    ) -> dict[str, Any]:
        now = time.time()
        length, step = timeseries.WINDOWS[window]
        minutes = await self._rollups.read_last(length, now)
        found = timeseries.make_bins(
            timeseries.select_rollups(minutes, names, of_queues), window, now
        )
        gaps = await self._store.list_gaps()
        workers = await self._store.list_workers(now=now)
        marks = await list_marks(self._store, now)
        return {
            "window": window,
            "since": found[0].at,
            "until": to_rfc3339(now),
            "bin_seconds": step,
            "whole": timeseries.is_whole(
                minutes, names=bool(names), queues=bool(of_queues)
            ),
            "bins": found,
            "marks": timeseries.list_annotations(gaps, workers, marks, now - length),
        }

    @require("read", whole=True)
    async def list_types(self, request: Request) -> Response:
        """Return the task types of the catalog and all names, with their statistics."""
        now = time.time()
        total = (await self._rollups.read_day(RECENT_S, now)).whole
        return make_marked_response(
            self._shared,
            {
                "types": collect_type_stats(total, self._shared.catalog, listed=True),
                "allowed_names": self._shared.catalog.allowed_names,
                "since": to_rfc3339(now - DAY_S),
                "until": to_rfc3339(now),
                "whole": timeseries.is_whole([total], names=True, queues=False),
            },
        )

    @require("read", whole=True)
    async def list_failing(self, request: Request) -> Response:
        """Return the failures of the last minutes, compared with the usual rates."""
        now = time.time()
        day = await self._rollups.read_day(RECENT_S, now)
        return make_marked_response(
            self._shared, {"failing": find_failing(day), "until": to_rfc3339(now)}
        )

    @require("read", whole=True)
    async def list_suspects(self, request: Request) -> Response:
        """Return tasks that need attention: too long, lost, or on a silent worker."""
        now = time.time()
        day = (await self._rollups.read_day(RECENT_S, now)).whole
        workers = await self._store.list_workers(now=now)
        held = await read_held_tasks(self._store)
        found = await find_suspects(self._store, held, day, workers, now)
        body = {
            "total": found.total,
            "counts": found.counts,
            "whole": found.whole,
            "suspects": found.listed[:MAX_SUSPECTS],
        }
        return make_marked_response(self._shared, body)

    @require("read", whole=True)
    async def get_overview(self, request: Request) -> Response:
        """Return the data of the overview, or only the requested `fields`."""
        return make_marked_response(
            self._shared, _select_fields(request, await self._read_overview())
        )

    async def _read_overview(self) -> dict[str, Any]:
        now = time.time()
        store = self._store
        day = await self._rollups.read_day(RECENT_S, now)
        workers = await store.list_workers(now=now)
        held = await read_held_tasks(store)
        running = held.running
        doubted = await find_suspects(store, held, day.whole, workers, now)
        counts = await store.count_by_state()
        return {
            "as_of": to_rfc3339(now),
            "health": await self._health.make_report(),
            "counts": counts,
            "total": sum(counts.values()),
            "workers": select_most_urgent(workers, MAX_OVERVIEW_WORKERS),
            "workers_total": len(workers),
            "workers_states": count_states(workers),
            "workers_whole": len(workers) <= MAX_OVERVIEW_WORKERS,
            "queues": [queues.to_view(one, now) for one in await store.list_queues()],
            "names": collect_recent(day)[:MAX_NAMES],
            "lately_seconds": round(RECENT_S),
            "failing": find_failing(day)[:MAX_FAILING],
            "suspects": doubted.listed[:MAX_SUSPECTS],
            "suspects_total": doubted.total,
            "suspects_counts": doubted.counts,
            "suspects_whole": doubted.whole,
            "schedules": list_alerts(
                (await self._shared.schedules.read_all()).schedules
            )[:MAX_ALERTS],
            "running": running[:MAX_RUNNING],
            "running_total": max(counts.get(views.STARTED, 0), len(running)),
            "running_whole": held.whole,
            "series": await self._read_series("1h"),
        }


def _select_fields(request: Request, body: dict[str, Any]) -> dict[str, Any]:
    """Return the keys of `body` that the query's `fields` list; all without them."""
    fields = [
        part for part in request.query_params.get("fields", "").split(",") if part
    ]
    for field in fields:
        if field not in body:
            raise InvalidInput(
                f"fields may name {', '.join(body)}; not {field}", "fields"
            )
    return {field: body[field] for field in fields} or body


def _parse_window(request: Request) -> str:
    window = request.query_params.get("window", "1h")
    if window not in timeseries.WINDOWS:
        raise InvalidInput(
            f"window must be one of {', '.join(timeseries.WINDOWS)}", "window"
        )
    return window


def _parse_selection(request: Request) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the requested names or queues; at most one of the two may be given."""
    given = parse_filter_keys(request.query_params, ("window",))
    filter_ = parse_filter(dict(given))
    if given.keys() - {"name", "queue"} or (filter_.name and filter_.queue):
        raise InvalidInput("give name or queue, or neither, and window", "name")
    return filter_.name or (), filter_.queue or ()
