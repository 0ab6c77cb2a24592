"""The tasks of a query, newest first: one bounded walk for every interface."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Protocol

import msgspec

from herald_core.errors import InvalidInput
from herald_core.model.queries.needles import list_needles
from herald_core.model.queries.task_query import TaskQuery
from herald_core.model.tasks.views import TaskView
from herald_core.store.key_value import KeyValueStore
from herald_core.store.ports import TaskReader
from herald_server.auth import request_context
from herald_server.auth.quotas.response_slots import hold_answer_turn
from herald_server.insight.search.index_plan import IndexPlanner
from herald_server.insight.search.search_walk import SearchWalk
from herald_server.insight.search.sorted_page import MAX_SORTED, SortedPage

MAX_SCANS = 2
"""Steps of scans that run at a time in a process."""

STEP_TASKS = 10_000
"""Tasks that a step looks at before it tells how far the search has come."""

SEARCH_TIMEOUT_S = 2.0
"""Seconds after which a page is returned as far as it was found."""

SORT_TIMEOUT_S = 8.0
"""Seconds after which an order is that of the tasks found until then."""

MAX_COUNTED = 100_000_000


class SearchStep(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What a part of a walk found, newest first, and how far the walk has come.

    `searched` is the number of tasks looked at since the request began, of about
    `total` from the newest to the oldest; `total` is absent where it is not known.
    `next` is the page token of the position behind, and absent at the end. `whole` is
    False of a sorted list that covers only the newest `searched` tasks.
    """

    tasks: tuple[TaskView, ...]
    searched: int
    total: int | None = None
    next: str | None = None
    whole: bool = True


class SearchedStore(TaskReader, KeyValueStore, Protocol):
    """What a search reads: the tasks, and the declared keys."""


def describe_step(step: SearchStep) -> str:
    """Return a sentence about what a page does not cover, or nothing."""
    total = "" if step.total is None else f" of about {step.total}"
    if not step.whole:
        return f"Only the newest {step.searched}{total} tasks are in this order."
    if step.next is not None and step.tasks == ():
        return f"{step.searched}{total} tasks were searched; the next page goes on."
    return ""


class TaskSearch:
    """Walks through the tasks of a query, as the caller may see them."""

    def __init__(
        self, store: SearchedStore, clock: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._planner = IndexPlanner(store)
        self._clock = clock
        self._slots = asyncio.Semaphore(MAX_SCANS)

    async def iter_steps(
        self,
        query: TaskQuery,
        *,
        page: str | None = None,
        limit: int | None = None,
        keep: Callable[[TaskView], bool] | None = None,
    ) -> AsyncGenerator[SearchStep]:
        """Yield what each step finds, until `limit` tasks are found or all were looked
        at.

        `keep` is asked for each matching task whether it is to be found. `query.sort`
        is ignored. Raises `InvalidCursor`, `StoreError`.
        """
        walk = SearchWalk(query, await self._planner.split(query), page)
        now, searched, found = self._clock(), 0, 0

        def accept(task: TaskView) -> bool:
            return query.matches(task, now) and (keep is None or keep(task))

        # The index must not tell a narrowed token about the tasks of others.
        is_counted = page is None and request_context.get_task_filter() is None
        total: int | None = None
        while limit is None or found < limit:
            room = STEP_TASKS if limit is None else limit - found
            part, token = walk.position
            step = await self._scan(part, token, min(room, 1_000), accept)
            walk.advance(step.next)
            searched += step.searched
            found += len(step.tasks)
            if is_counted and walk.is_over:
                total = searched
            elif is_counted and total is None and step.next is not None:
                total = await self._count(walk.parts)
            yield SearchStep(
                tasks=step.tasks,
                searched=searched if total is None else min(searched, total),
                total=total,
                next=walk.make_token(),
            )
            if walk.is_over:
                return

    async def _scan(
        self,
        query: TaskQuery,
        page: str | None,
        limit: int,
        accept: Callable[[TaskView], bool],
    ) -> SearchStep:
        async with hold_answer_turn(), self._slots:
            step = await self._store.scan_tasks(
                query.filter,
                list_needles(query),
                accept,
                limit=limit,
                max_searched=STEP_TASKS,
                page=page,
                after=query.after,
                before=query.before,
            )
        return SearchStep(tasks=step.tasks, searched=step.searched, next=step.next)

    async def search(
        self, query: TaskQuery, *, page: str | None = None, limit: int = 100
    ) -> SearchStep:
        """Return one page: of a query with an order that of `search_sorted`.

        After `SEARCH_TIMEOUT_S` it is returned as it is, with the `next` that goes on.
        """
        if query.sort is not None:
            return await self._search_sorted(query, page, limit)
        until = time.monotonic() + SEARCH_TIMEOUT_S
        tasks: list[TaskView] = []
        last = SearchStep(tasks=(), searched=0)
        async for last in self.iter_steps(query, page=page, limit=limit):
            tasks += last.tasks
            if time.monotonic() >= until:
                break
        return msgspec.structs.replace(last, tasks=tuple(tasks))

    async def _search_sorted(
        self, query: TaskQuery, page: str | None, limit: int
    ) -> SearchStep:
        """Return a page of the newest `MAX_SORTED` tasks in the order of the query."""
        if query.sort is None:
            raise InvalidInput("the query has no order", "sort")
        until = time.monotonic() + SORT_TIMEOUT_S
        sorted_page = SortedPage(query.sort, limit, self._clock(), page)
        last = SearchStep(tasks=(), searched=0)
        async for last in self.iter_steps(query, keep=sorted_page.check):
            sorted_page.add(last.tasks)
            if last.searched >= MAX_SORTED or time.monotonic() >= until:
                break
        return SearchStep(
            tasks=sorted_page.list_tasks(),
            searched=last.searched,
            total=last.total,
            next=sorted_page.make_token(),
            whole=last.next is None,
        )

    async def _count(self, parts: Sequence[TaskQuery]) -> int:
        """Return about how many tasks a walk looks at."""
        return sum(
            [
                await self._store.count_tasks(
                    part.filter, MAX_COUNTED, after=part.after, before=part.before
                )
                for part in parts
            ]
        )
