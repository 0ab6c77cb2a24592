"""The tool `get_task_stats`."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Annotated, Any

from fastmcp import FastMCP
from pydantic import Field

from herald_core.model.filters import Filter, parse_filter
from herald_core.model.tasks.views import to_rfc3339
from herald_core.store.ports import TaskReader
from herald_server.auth import request_context
from herald_server.catalog.catalog import Catalog
from herald_server.insight.stats.by_name import (
    MAX_TASKS,
    NameStats,
    compute_rollup_stats,
    compute_task_stats,
    scan_tasks,
)
from herald_server.insight.stats.rollup_cache import DAY_S, RollupCache
from herald_server.mcp.answers.pages import DEFAULT_ROWS, cut_page
from herald_server.mcp.http.auth import convert_to_tool_error, require_scope
from herald_server.mcp.models.task_types import NameNumbers
from herald_server.mcp.models.task_types import TaskStats as Stats
from herald_server.mcp.parameters import Limit, NextPage, add_read_tool, remove_unset
from herald_server.mcp.tools.history import Names, TypeOnly, make_type_filter

MAX_HOURS = 24.0 * 31


class StatsTools:
    """The tool `get_task_stats`."""

    def __init__(
        self, reader: TaskReader, catalog: Catalog, minutes: RollupCache
    ) -> None:
        self._reader = reader
        self._catalog = catalog
        self._rollups = minutes

    def register(self, mcp: FastMCP[Any]) -> None:
        """Add the tool to `mcp`."""
        add_read_tool(mcp, self.get_task_stats, "Get task statistics")

    async def get_task_stats(
        self,
        name: Names = None,
        task_type: TypeOnly = None,
        hours: Annotated[
            float,
            Field(gt=0, le=MAX_HOURS, description="Length of the window, up to 744"),
        ] = 24.0,
        limit: Limit = DEFAULT_ROWS,
        page: NextPage = None,
    ) -> Stats:
        """Count tasks by name over the last hours, with failure rates and runtimes.

        Looks at each of up to 5,000 tasks. If there were more in a day or less, they
        are counted by attempts instead; in a longer time only the newest count.
        """
        with convert_to_tool_error():
            require_scope("read", "get_task_stats")
            selection = remove_unset(name=name)
            selection |= make_type_filter(self._catalog, task_type, selection)
            filter_ = parse_filter(selection)
            found = await self._count_from_rollups(filter_, hours * 3600)
            if found is None:
                found = await self._scan(filter_, hours * 3600)
            names, next_page = cut_page(found.names, limit, page)
        return found.model_copy(
            update={
                "names": names,
                "total_names": len(found.names),
                "next": next_page,
            }
        )

    async def _scan(self, filter_: Filter, seconds: float) -> Stats:
        """Return statistics of the tasks themselves."""
        seen = await scan_tasks(self._reader, filter_, seconds)
        return Stats(
            since=seen.since,
            until=seen.until,
            total=len(seen.tasks),
            sampled=not seen.whole,
            names=self._make_numbers(compute_task_stats(seen.tasks)),
            message=""
            if seen.whole
            else f"There were more than {MAX_TASKS} tasks: these are numbers of the "
            f"newest {len(seen.tasks)}.",
        )

    async def _count_from_rollups(
        self, filter_: Filter, seconds: float
    ) -> Stats | None:
        """Return statistics from rollups, if there are too many tasks to read."""
        if seconds > DAY_S or request_context.get_task_filter() is not None:
            return None
        now = time.time()
        minutes = await self._rollups.read_last(seconds, now)
        found = compute_rollup_stats(minutes, filter_.name)
        total = sum(one.count for one in found)
        if total <= MAX_TASKS:
            return None
        return Stats(
            since=to_rfc3339(now - seconds),
            until=to_rfc3339(now),
            total=total,
            sampled=False,
            names=self._make_numbers(found),
            message=f"There were more than {MAX_TASKS} tasks: attempts were counted "
            "instead, and runtimes are at most 9 % off.",
        )

    def _make_numbers(self, found: Iterable[NameStats]) -> list[NameNumbers]:
        return [
            NameNumbers(
                task_name=one.name,
                task_type=kind.name
                if (kind := self._catalog.find_by_celery_name(one.name))
                else None,
                count=one.count,
                statuses=one.states,
                failure_rate=one.failure_rate,
                runtime_p50=one.runtime.p50 if one.runtime else None,
                runtime_p95=one.runtime.p95 if one.runtime else None,
                runtime_p99=one.runtime.p99 if one.runtime else None,
            )
            for one in found
        ]
