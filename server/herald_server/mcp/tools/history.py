"""Tools of past tasks: list, history, statistics."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Annotated, Any

from fastmcp import FastMCP
from pydantic import Field

from herald_core.errors import InvalidInput
from herald_core.model.filters import parse_filter
from herald_core.model.queries.moments import parse_instant
from herald_core.model.tasks.views import TaskView, to_rfc3339
from herald_core.store.ports import TaskReader
from herald_server.catalog.catalog import Catalog
from herald_server.insight.search.query_request import make_query
from herald_server.insight.search.task_search import (
    SearchStep,
    TaskSearch,
    describe_step,
)
from herald_server.mcp.answers import timeline
from herald_server.mcp.answers.listing import validate_task_id
from herald_server.mcp.answers.pages import DEFAULT_ROWS
from herald_server.mcp.answers.short import SHORT, DetailLevel
from herald_server.mcp.http.auth import convert_to_tool_error, require_scope
from herald_server.mcp.models.history import ListedTask, ListedTasks, TaskHistory
from herald_server.mcp.parameters import Detail, TaskId, add_read_tool, remove_unset

MAX_PAGE_SIZE = 200
MAX_COUNTED = 1_000_000
MAX_RUNS_SHOWN = 10

Texts = str | list[str] | None
Names = Annotated[Texts, Field(description="Celery names; * and ? are wild")]
TypeOnly = Annotated[
    str | None, Field(description="Only tasks of this type of the catalog")
]
States = Annotated[
    Texts, Field(description="States, such as failure or ['lost', 'retry']")
]
Workers = Annotated[Texts, Field(description="Hostnames of workers; * and ? are wild")]
Queues = Annotated[Texts, Field(description="Queues; * and ? are wild")]
Tags = Annotated[Texts, Field(description="Tags")]
Groups = Annotated[Texts, Field(description="Ids of groups or chains")]
Roots = Annotated[
    Texts, Field(description="Ids of tasks whose whole tree is asked for")
]
Causes = Annotated[
    Texts, Field(description="Causes of failure: fingerprints of list_failures")
]
After = Annotated[
    str | None,
    Field(description="First heard of at or after this RFC 3339 time or date"),
]
Before = Annotated[
    str | None, Field(description="First heard of before this RFC 3339 time or date")
]
PageSize = Annotated[
    int, Field(ge=1, le=MAX_PAGE_SIZE, description="Tasks a page, 1 to 200")
]
RunsShown = Annotated[int, Field(ge=1, le=500, description="Runs at most, the newest")]
Page = Annotated[str | None, Field(description="`next` of the page before")]


QueryText = Annotated[
    str | None,
    Field(
        description="Search text: words are AND and are looked for in name, arguments, "
        "exception and id; also failed, kwargs.order_id:12345, error:timeout, "
        "took:>10s, wait:>1m, last:10m, -state:SUCCESS"
    ),
]
SortText = Annotated[
    str | None,
    Field(
        description="started, finished, received, submitted, runtime or wait; with - "
        "before it the largest or newest first"
    ),
]


class HistoryTools:
    """The tools `list_tasks` and `get_task_history`."""

    def __init__(
        self, reader: TaskReader, catalog: Catalog, search: TaskSearch
    ) -> None:
        self._search = search
        self._reader = reader
        self._catalog = catalog

    def register(self, mcp: FastMCP[Any]) -> None:
        """Add the tools to `mcp`."""
        add_read_tool(mcp, self.list_tasks, "List tasks")
        add_read_tool(mcp, self.get_task_history, "Get a task's history")

    async def list_tasks(
        self,
        name: Names = None,
        task_type: TypeOnly = None,
        state: States = None,
        worker: Workers = None,
        queue: Queues = None,
        tag: Tags = None,
        group: Groups = None,
        root: Roots = None,
        failure: Causes = None,
        after: After = None,
        before: Before = None,
        limit: PageSize = DEFAULT_ROWS,
        page: Page = None,
        query: QueryText = None,
        sort: SortText = None,
        detail: Detail = SHORT,
    ) -> ListedTasks:
        """List past and present tasks, newest first, by any mix of criteria.

        Values of one criterion are alternatives, criteria narrow each other. For
        the tasks that have not ended list_active_tasks is shorter.
        """
        with convert_to_tool_error():
            require_scope("read", "list_tasks")
            selection = remove_unset(name=name, state=state, worker=worker, queue=queue)
            selection |= remove_unset(tag=tag, group=group, root=root)
            selection |= remove_unset(failure=failure)
            selection |= make_type_filter(self._catalog, task_type, selection)
            since, until = parse_moment("after", after), parse_moment("before", before)
            if since is not None and before is not None and since >= (until or since):
                raise InvalidInput(
                    "after is not earlier than before, so no task can match: after "
                    "begins the time, before ends it",
                    "after",
                )
            filter_ = parse_filter(selection)
            if query is not None or sort is not None:
                wish = make_query(
                    *(query, filter_),
                    now=time.time(),
                    after=since,
                    before=until,
                    sort=sort,
                )
                step = await self._search.search(wish, page=page, limit=limit)
                return self._make_found(step, detail)
            got = await self._reader.list_tasks(
                filter_, limit=limit, page=page, after=since, before=until
            )
            total = len(got.tasks)
            if got.next is not None or page is not None:
                total = await self._reader.count_tasks(
                    filter_, MAX_COUNTED, after=since, before=until
                )
        return ListedTasks(
            total=total,
            tasks=self._list(got.tasks, detail),
            next=got.next,
            queried_at=to_rfc3339(time.time()),
            message="" if total else self._describe_nothing(name),
        )

    def _describe_nothing(self, name: Texts) -> str:
        """Return what may be wrong with a name that no task has."""
        if isinstance(name, str) and name in self._catalog:
            return f"{name} is a task type: give it as task_type instead of name."
        return ""

    def _list(self, tasks: Iterable[TaskView], detail: DetailLevel) -> list[ListedTask]:
        return [
            timeline.make_listed_task(task, self._catalog, detail) for task in tasks
        ]

    def _make_found(self, step: SearchStep, detail: DetailLevel) -> ListedTasks:
        return ListedTasks(
            tasks=self._list(step.tasks, detail),
            next=step.next,
            queried_at=to_rfc3339(time.time()),
            message=describe_step(step),
            searched=step.searched,
            total=step.total,
        )

    async def get_task_history(
        self,
        task_id: TaskId,
        limit: RunsShown = MAX_RUNS_SHOWN,
        detail: Detail = SHORT,
    ) -> TaskHistory:
        """Tell the story of one task: each run with its worker, times and error.

        Use it to see what was tried before a failure, and where time was spent.
        """
        with convert_to_tool_error():
            require_scope("read", "get_task_history")
            task = await self._reader.get_task(validate_task_id(task_id))
            runs = await self._reader.list_attempts(task.id)
        return timeline.make_history(task, runs, self._catalog, limit, detail)


def make_type_filter(
    catalog: Catalog, task_type: str | None, selection: dict[str, object]
) -> dict[str, object]:
    """Return the filter for a task type. Raises `InvalidInput`."""
    if task_type is None:
        return {}
    if "name" in selection:
        raise InvalidInput("give name or task_type, not both", "task_type")
    return {"name": catalog[task_type].celery_name}


def parse_moment(key: str, text: str | None) -> float | None:
    """Return the unix seconds of a time, or of a day in UTC. Raises `InvalidInput`."""
    if text is None:
        return None
    text = text.strip()
    is_day = len(text) == len("2026-01-31")
    at = parse_instant(f"{text}T00:00:00Z" if is_day else text)
    if at is not None:
        return at
    raise InvalidInput(
        f"{key} must be a time with its offset such as 2026-01-31T12:00:00Z, or a day "
        "such as 2026-01-31",
        key,
    )
