"""The tools that look back: tasks by date and kind, one task's story, numbers."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any

from fastmcp import FastMCP
from pydantic import Field

from herald_monitor.errors import BadInput
from herald_monitor.model.filters import Filter, parse_filter
from herald_monitor.model.shape import rfc3339
from herald_monitor.store import Reader
from herald_server import caller
from herald_server.catalog import Catalog
from herald_server.mcp import story
from herald_server.mcp.access import demand, refusing
from herald_server.mcp.active import checked_id
from herald_server.mcp.answers_more import ListedTasks, NameNumbers, TaskHistory
from herald_server.mcp.answers_more import TaskStats as Stats
from herald_server.mcp.arguments import TaskId, add_reading, flat
from herald_server.minutes import DAY, Minutes
from herald_server.stats import MOST, NameStats, by_minutes, by_name, scan

MAX_PAGE = 200
MAX_HOURS = 24.0 * 31

Texts = str | list[str] | None


class History:
    """The tools `list_tasks`, `get_task_history` and `get_task_stats`."""

    def __init__(self, reader: Reader, catalog: Catalog, minutes: Minutes) -> None:
        self._reader = reader
        self._catalog = catalog
        self._minutes = minutes

    def register(self, mcp: FastMCP[Any]) -> None:
        """Add the tools to `mcp`."""
        add_reading(mcp, self.list_tasks, "List tasks")
        add_reading(mcp, self.get_task_history, "Get a task's history")
        add_reading(mcp, self.get_task_stats, "Get task statistics")

    async def list_tasks(
        self,
        name: Annotated[
            Texts, Field(description="Celery names; * and ? are wild")
        ] = None,
        task_type: Annotated[
            str | None, Field(description="Only tasks of this type of the catalog")
        ] = None,
        state: Annotated[
            Texts,
            Field(description="States, such as failure or ['lost', 'retry']"),
        ] = None,
        worker: Annotated[
            Texts, Field(description="Hostnames of workers; * and ? are wild")
        ] = None,
        queue: Annotated[Texts, Field(description="Queues; * and ? are wild")] = None,
        tag: Annotated[Texts, Field(description="Tags")] = None,
        group: Annotated[Texts, Field(description="Ids of groups or chains")] = None,
        root: Annotated[
            Texts, Field(description="Ids of tasks whose whole tree is asked for")
        ] = None,
        after: Annotated[
            str | None,
            Field(description="First heard of at or after this RFC 3339 time or date"),
        ] = None,
        before: Annotated[
            str | None,
            Field(description="First heard of before this RFC 3339 time or date"),
        ] = None,
        limit: Annotated[
            int, Field(ge=1, le=MAX_PAGE, description="Tasks a page, 1 to 200")
        ] = 50,
        page: Annotated[
            str | None, Field(description="`next` of the page before")
        ] = None,
    ) -> ListedTasks:
        """List past and present tasks, newest first, by any mix of criteria.

        Values of one criterion are alternatives, criteria narrow each other. For
        the tasks that have not ended list_active_tasks is shorter.
        """
        with refusing():
            demand("read", "list_tasks")
            asked = flat(name=name, state=state, worker=worker, queue=queue)
            asked |= flat(tag=tag, group=group, root=root)
            asked |= self._type(task_type, asked)
            got = await self._reader.page(
                parse_filter(asked),
                limit=limit,
                page=page,
                after=moment("after", after),
                before=moment("before", before),
            )
        return ListedTasks(
            tasks=[story.listed(task, self._catalog) for task in got.tasks],
            next=got.next,
            queried_at=rfc3339(time.time()),
        )

    def _type(
        self, task_type: str | None, asked: dict[str, object]
    ) -> dict[str, object]:
        if task_type is None:
            return {}
        if "name" in asked:
            raise BadInput("give name or task_type, not both", "task_type")
        return {"name": self._catalog[task_type].celery_name}

    async def get_task_history(self, task_id: TaskId) -> TaskHistory:
        """Tell the story of one task: each run with its worker, times and error.

        Use it to see what was tried before a failure, and where time was spent.
        """
        with refusing():
            demand("read", "get_task_history")
            task = await self._reader.task(checked_id(task_id))
            runs = await self._reader.attempts(task.id)
        return story.history(task, runs, self._catalog)

    async def get_task_stats(
        self,
        name: Annotated[
            Texts, Field(description="Celery names; * and ? are wild")
        ] = None,
        task_type: Annotated[
            str | None, Field(description="Only tasks of this type of the catalog")
        ] = None,
        hours: Annotated[
            float,
            Field(gt=0, le=MAX_HOURS, description="Length of the window, up to 744"),
        ] = 24.0,
    ) -> Stats:
        """Count tasks by name over the last hours, with failure rates and runtimes.

        Looks at each of up to 5,000 tasks. If there were more in a day or less, they
        are counted by attempts instead; in a longer time only the newest count.
        """
        with refusing():
            demand("read", "get_task_stats")
            asked = flat(name=name)
            asked |= self._type(task_type, asked)
            filter_ = parse_filter(asked)
            counted = await self._counted(filter_, hours * 3600)
            if counted is not None:
                return counted
            seen = await scan(self._reader, filter_, hours * 3600)
        return Stats(
            since=seen.since,
            until=seen.until,
            total=len(seen.tasks),
            sampled=not seen.whole,
            names=self._named(by_name(seen.tasks)),
            message=""
            if seen.whole
            else f"There were more than {MOST} tasks: these are numbers of the newest "
            f"{len(seen.tasks)}.",
        )

    async def _counted(self, filter_: Filter, seconds: float) -> Stats | None:
        """Return what the minutes tell, where tasks are too many to look at each."""
        if seconds > DAY or caller.only() is not None:
            return None
        now = time.time()
        minutes = await self._minutes.since(seconds, now)
        found = by_minutes(minutes, filter_.name)
        total = sum(one.count for one in found)
        if total <= MOST:
            return None
        return Stats(
            since=rfc3339(now - seconds),
            until=rfc3339(now),
            total=total,
            sampled=False,
            names=self._named(found),
            message=f"There were more than {MOST} tasks: attempts were counted "
            "instead, and runtimes are at most 9 % off.",
        )

    def _named(self, found: Iterable[NameStats]) -> list[NameNumbers]:
        return [
            NameNumbers(
                task_name=one.name,
                task_type=kind.name
                if (kind := self._catalog.of_celery_name(one.name))
                else None,
                count=one.count,
                statuses=one.states,
                failure_rate=one.failure_rate,
                runtime_p50=one.p50,
                runtime_p95=one.p95,
                runtime_p99=one.p99,
            )
            for one in found
        ]


def moment(key: str, text: str | None) -> float | None:
    """Return the unix seconds of a time, or of a day in UTC. Raises `BadInput`."""
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text.strip())
        day = len(text.strip()) == len("2026-01-31")
        if at.tzinfo is not None or day:
            return datetime.fromisoformat(
                at.isoformat() + ("+00:00" if at.tzinfo is None else "")
            ).timestamp()
    except (ValueError, OverflowError):
        pass
    raise BadInput(
        f"{key} must be a time with its offset such as 2026-01-31T12:00:00Z, or a day "
        "such as 2026-01-31",
        key,
    )
