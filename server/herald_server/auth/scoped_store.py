"""The store, restricted to what the caller may see (row-level security).

A task-scoped token sees the tasks that match its filter, and nothing else: any other
task does not exist for it, in pages, counts, replays and by its id. The APIs get this
instead of the store, so that no route can forget it. Methods that are not known to be
safe are refused to task-scoped tokens, including future ones.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, cast

import msgspec

from herald_core.errors import StoreError
from herald_core.model.changes import TASK, Change, LogEntry
from herald_core.model.cursor import Cursor
from herald_core.model.events.event import Event
from herald_core.model.filters import Filter
from herald_core.model.gaps import Gap
from herald_core.model.hidden_fields import hide_fields, hide_in_change
from herald_core.model.monitors import MonitorView
from herald_core.model.queries.needles import Needle
from herald_core.model.tasks.views import UNKNOWN, AttemptView, TaskView
from herald_core.store.ports import SCAN_STEP_TASKS, Store
from herald_core.store.types import ScanStep, TaskPage
from herald_server.auth import request_context
from herald_server.auth.backend_lookup import BackendLookup, apply_outcome
from herald_server.auth.identity import ScopedTokenRefused
from herald_server.auth.page_token_seal import PageTokenCipher
from herald_server.auth.scoped_counts import (
    MAX_EXACT_COUNT,
    count_by_pages,
    count_states,
    list_newest_groups,
)

log = logging.getLogger(__name__)

PASS_THROUGH = frozenset(
    [
        *("open", "close", "read_end", "read_history_id"),
        *("store", "withdraw", "open_gap", "record_heartbeat"),
        *("expire_tasks", "acquire_lease"),
        *("update_documents", "delete_documents"),
        *("put_item", "get_item", "get_items", "list_items", "delete_item"),
        *("push_line", "read_lines"),
    ]
)
"""Methods that reveal nothing of tasks. Writes are authorised before."""


class ScopedStore:
    """A `Store` whose reads are restricted to what the caller may see.

    `lookup` queries the backend for single tasks while the store is outdated; `seal`
    encrypts the page tokens of task-scoped tokens.
    """

    def __init__(
        self,
        whole: Store,
        lookup: BackendLookup | None = None,
        seal: PageTokenCipher | None = None,
    ) -> None:
        self.unscoped = whole
        self._lookup = lookup
        self._seal = seal

    def __getattr__(self, name: str) -> Any:
        if name not in PASS_THROUGH and request_context.get_task_filter() is not None:
            raise ScopedTokenRefused("what is not about tasks")
        return getattr(self.unscoped, name)

    async def get_task(self, task_id: str) -> TaskView:
        """Return the task; a hidden one is `UNKNOWN` like any other id.

        Of an unknown one the result backend is asked, and what it says is stored: its
        events were missed, or it ended before this Herald was set up.
        """
        return _hide(await self._get_task(task_id))

    async def _get_task(self, task_id: str) -> TaskView:
        task = await self.unscoped.get_task(task_id)
        if not _is_visible(task):
            return TaskView(id=task_id, state=UNKNOWN)
        if self._lookup is None:
            return task
        if task.state == UNKNOWN:
            found = await self._lookup.read_events([task_id])
            return await self._import_task(task, found) if found else task
        return (await self._lookup.add_outcomes([task]))[0]

    async def _import_task(self, unknown: TaskView, found: Sequence[Event]) -> TaskView:
        """Store what the backend has `found` of a task; return it, if it is visible."""
        try:
            await self.unscoped.store(found, now=time.time())
            task = await self.unscoped.get_task(unknown.id)
        except StoreError as error:
            log.warning("a result of the backend is not stored: %s", error)
            task = apply_outcome(unknown, found[0])
        return task if _is_visible(task) else unknown

    async def list_attempts(self, task_id: str) -> Sequence[AttemptView]:
        """Return the attempts of a task; none of a hidden one."""
        if request_context.get_task_filter() is not None and not _is_visible(
            await self.unscoped.get_task(task_id)
        ):
            return ()
        found = await self.unscoped.list_attempts(task_id)
        only = request_context.get_task_filter()
        return [hide_fields(attempt, only) for attempt in found]

    async def get_tasks(self, ids: Sequence[str]) -> list[TaskView | None]:
        """Return the tasks of `ids`, None for hidden ones."""
        found = await self.unscoped.get_tasks(ids)
        visible = [task for task in found if task is not None and _is_visible(task)]
        if self._lookup is not None:
            visible = await self._lookup.add_outcomes(visible)
        known = {task.id: _hide(task) for task in visible}
        return [known.get(id_) for id_ in ids]

    async def list_tasks(
        self,
        filter_: Filter,
        *,
        limit: int = 100,
        page: str | None = None,
        after: float | None = None,
        before: float | None = None,
    ) -> TaskPage:
        """Return tasks that match and are visible, newest first."""
        only = request_context.get_task_filter()
        narrowed = filter_.intersect(only)
        if narrowed.is_empty:
            return TaskPage()
        found = await self.unscoped.list_tasks(
            narrowed,
            limit=limit,
            page=self._open_page(page, only),
            after=after,
            before=before,
        )
        tasks = tuple(_hide(task) for task in found.tasks)
        if only is None or found.next is None or self._seal is None:
            return TaskPage(tasks, found.next)
        return TaskPage(tasks, self._seal.encrypt(found.next, only))

    async def scan_tasks(
        self,
        filter_: Filter,
        needles: Sequence[Needle],
        accept: Callable[[TaskView], bool],
        *,
        limit: int = 100,
        max_searched: int = SCAN_STEP_TASKS,
        page: str | None = None,
        after: float | None = None,
        before: float | None = None,
    ) -> ScanStep:
        """Return a step of a scan through the visible tasks; it counts no others."""
        only = request_context.get_task_filter()
        narrowed = filter_.intersect(only)
        if narrowed.is_empty:
            return ScanStep()
        found = await self.unscoped.scan_tasks(
            narrowed,
            needles,
            # What is hidden is not searched either: an answer would tell it.
            lambda task: accept(_hide(task)),
            limit=limit,
            max_searched=max_searched,
            page=self._open_page(page, only),
            after=after,
            before=before,
        )
        tasks = tuple(_hide(task) for task in found.tasks)
        if only is None or found.next is None or self._seal is None:
            return ScanStep(tasks, found.searched, found.next)
        sealed = self._seal.encrypt(found.next, only)
        return ScanStep(tasks, found.searched, sealed)

    def _open_page(self, page: str | None, only: Filter | None) -> str | None:
        """Return the page token that the caller got as `page`."""
        if only is None or page is None or self._seal is None:
            return page
        return self._seal.decrypt(page, only)

    async def count_tasks(
        self,
        filter_: Filter,
        limit: int,
        *,
        after: float | None = None,
        before: float | None = None,
    ) -> int:
        """Return how many visible tasks match.

        A task-scoped token gets no count of a range of arrivals.
        """
        only = request_context.get_task_filter()
        if only is None:
            return await self.unscoped.count_tasks(
                filter_, limit, after=after, before=before
            )
        if after is not None or before is not None:
            raise ScopedTokenRefused("a count of a range of time")
        counted = await count_by_pages(self, filter_)
        if counted <= min(limit, MAX_EXACT_COUNT):
            return counted
        return max(counted, await self.unscoped.count_tasks(only, limit))

    async def list_groups(self, limit: int) -> list[tuple[str, float]]:
        """Return the groups of visible tasks; for a task-scoped token
        of the newest `MAX_EXACT_COUNT`."""
        if request_context.get_task_filter() is None:
            return await self.unscoped.list_groups(limit)
        return await list_newest_groups(self, limit)

    async def count_group_by_state(self, group_id: str) -> dict[str, int]:
        """Return how many visible tasks of a group are in each state.

        For a task-scoped token the newest `MAX_EXACT_COUNT` are counted.
        """
        if request_context.get_task_filter() is None:
            return await self.unscoped.count_group_by_state(group_id)
        return await count_states(self, Filter(group=(group_id,)))

    async def find_registered(self, ids: Sequence[str]) -> set[str]:
        """Return the visible tasks of `ids` that Herald registered with their group."""
        visible = [task.id for task in await self.get_tasks(ids) if task is not None]
        return await self.unscoped.find_registered(visible)

    async def count_by_state(self) -> dict[str, int]:
        """Return how many visible tasks are in each state that has any.

        For a task-scoped token the newest `MAX_EXACT_COUNT` are counted.
        """
        if request_context.get_task_filter() is None:
            return await self.unscoped.count_by_state()
        return await count_states(self, Filter())

    async def list_gaps(self) -> list[Gap]:
        """Return the gaps; without their reasons for a task-scoped token."""
        gaps = await self.unscoped.list_gaps()
        return (
            gaps
            if request_context.get_task_filter() is None
            else [redact_gap(gap) for gap in gaps]
        )

    async def list_monitors(self) -> list[MonitorView]:
        """Return the live monitors; for a task-scoped token only their state."""
        monitors = await self.unscoped.list_monitors()
        if request_context.get_task_filter() is None:
            return monitors
        return [
            MonitorView(
                id=f"monitor-{number}",
                started_at=one.started_at,
                seen_at=one.seen_at,
                connected=one.connected,
                last_event_at=one.last_event_at,
                lag_ms=one.lag_ms,
            )
            for number, one in enumerate(monitors, 1)
        ]

    async def read_entries(
        self,
        after: Cursor,
        *,
        wait: float = 0.0,
        limit: int = 100,
        until: Cursor | None = None,
    ) -> list[LogEntry]:
        """Return entries after `after`, with the changes that the caller may see."""
        entries = await self.unscoped.read_entries(
            after, wait=wait, limit=limit, until=until
        )
        only = request_context.get_task_filter()
        if only is None:
            return entries
        return [
            msgspec.structs.replace(entry, changes=_select_changes(entry.changes, only))
            for entry in entries
        ]


def forbid_scoped(what: str) -> None:
    """Raise `ScopedTokenRefused` for task-scoped tokens: `what` is about all tasks."""
    if request_context.get_task_filter() is not None:
        raise ScopedTokenRefused(what)


def redact_gap(gap: Gap) -> Gap:
    """Return `gap` without details about tasks, workers and monitors."""
    return Gap(
        id=gap.since, since=gap.since, until=gap.until, reason="", state=gap.state
    )


def scope_store(
    store: Store,
    lookup: BackendLookup | None = None,
    seal: PageTokenCipher | None = None,
) -> Store:
    """Return `store`, restricted to what the caller may see."""
    if isinstance(store, ScopedStore):
        return cast(Store, store)
    return cast(Store, ScopedStore(store, lookup, seal))


def get_unscoped(store: Any) -> Any:
    """Return the unrestricted store, for internal work: statistics, caches, the log."""
    return store.unscoped if isinstance(store, ScopedStore) else store


def _is_visible(task: TaskView) -> bool:
    only = request_context.get_task_filter()
    return only is None or only.matches(task)


def _hide(task: TaskView) -> TaskView:
    """Return a task as the caller may see it."""
    return hide_fields(task, request_context.get_task_filter())


def _select_changes(changes: Sequence[Change], only: Filter) -> tuple[Change, ...]:
    return tuple(
        hide_in_change(change, only)
        for change in changes
        if change.kind == TASK
        and change.task is not None
        and (
            only.matches(change.task)
            or (change.before is not None and only.matches(change.task, change.before))
        )
    )
