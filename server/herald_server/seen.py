"""The store as who is being served may see it.

A narrow token sees the tasks that match its filter, and nothing else: any other
task is as if it did not exist, in pages, counts, replays and by its id. Doors get
this instead of the store, so that no route can forget it. What a method is not
known to be safe for is refused to narrow tokens, the ones that come later too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import msgspec

from herald_monitor.model.changes import TASK, Change, Entry
from herald_monitor.model.cursor import Cursor
from herald_monitor.model.filters import Filter
from herald_monitor.model.shape import UNKNOWN, AttemptImage, TaskImage, unix
from herald_monitor.store import Gap, MonitorImage, Page, Store
from herald_server import caller
from herald_server.auth import Narrow
from herald_server.backend_lookup import BackendLookup
from herald_server.page_seal import PageSeal

OPEN = frozenset(
    [
        *("open", "close", "end", "identity"),
        *("store", "withdraw", "open_gap", "beat", "sweep", "lease"),
        *("put_note", "note", "notes", "noted", "drop_note", "add_line", "lines"),
    ]
)
"""Methods that tell nothing of tasks. Writes are decided about before."""

COUNTED = 10_000
"""Tasks that are counted one by one for a narrow token; beyond, all of its tasks
are told instead: an index tells how many tasks others have."""

PAGE = 500


class Seen:
    """A `Store` whose reads are narrowed to what the caller may see.

    `lookup` is asked for the end of a single task while the store is outdated,
    `seal` encrypts the page tokens of narrow tokens.
    """

    def __init__(
        self,
        whole: Store,
        lookup: BackendLookup | None = None,
        seal: PageSeal | None = None,
    ) -> None:
        self.whole = whole
        self._lookup = lookup
        self._seal = seal

    def __getattr__(self, name: str) -> Any:
        if name not in OPEN and caller.only() is not None:
            raise Narrow("what is not about tasks")
        return getattr(self.whole, name)

    async def task(self, task_id: str) -> TaskImage:
        """Return the task; one that is hidden is `UNKNOWN` like any other id."""
        task = await self.whole.task(task_id)
        if not _visible(task):
            return TaskImage(id=task_id, state=UNKNOWN)
        return (await self._complete([task]))[0]

    async def attempts(self, task_id: str) -> Sequence[AttemptImage]:
        """Return the runs of a task; none of a hidden one."""
        if caller.only() is not None and not _visible(await self.whole.task(task_id)):
            return ()
        return await self.whole.attempts(task_id)

    async def tasks(self, ids: Sequence[str]) -> list[TaskImage | None]:
        """Return the tasks of `ids`, None for hidden ones."""
        found = await self.whole.tasks(ids)
        visible = [task for task in found if task is not None and _visible(task)]
        known = {task.id: task for task in await self._complete(visible)}
        return [known.get(id_) for id_ in ids]

    async def _complete(self, tasks: Sequence[TaskImage]) -> Sequence[TaskImage]:
        return tasks if self._lookup is None else await self._lookup.complete(tasks)

    async def page(
        self,
        filter_: Filter,
        *,
        limit: int = 100,
        page: str | None = None,
        after: float | None = None,
        before: float | None = None,
    ) -> Page:
        """Return tasks that match and are visible, newest first."""
        only = caller.only()
        narrowed = filter_.within(only)
        if narrowed.nothing:
            return Page()
        if only is not None and page is not None and self._seal is not None:
            page = self._seal.open(page, only)
        found = await self.whole.page(
            narrowed, limit=limit, page=page, after=after, before=before
        )
        if only is None or found.next is None or self._seal is None:
            return found
        return Page(found.tasks, self._seal.close(found.next, only))

    async def count(self, filter_: Filter, most: int) -> int:
        """Return how many visible tasks match."""
        only = caller.only()
        if only is None:
            return await self.whole.count(filter_, most)
        counted = await self._walked(filter_)
        if counted <= min(most, COUNTED):
            return counted
        return max(counted, await self.whole.count(only, most))

    async def _walked(self, filter_: Filter) -> int:
        counted, page = 0, None
        while counted <= COUNTED:
            some = await self.page(filter_, limit=PAGE, page=page)
            counted, page = counted + len(some.tasks), some.next
            if page is None:
                break
        return counted

    async def groups(self, limit: int) -> list[tuple[str, float]]:
        """Return the groups of visible tasks; of a narrow token's newest `COUNTED`."""
        if caller.only() is None:
            return await self.whole.groups(limit)
        newest: dict[str, float] = {}
        counted, page = 0, None
        while counted < COUNTED:
            some = await self.page(Filter(), limit=PAGE, page=page)
            counted, page = counted + len(some.tasks), some.next
            for task in some.tasks:
                if task.group_id and task.updated_at:
                    newest.setdefault(task.group_id, unix(task.updated_at))
            if page is None or len(newest) >= limit:
                break
        return list(newest.items())[:limit]

    async def group_counts(self, group_id: str) -> dict[str, int]:
        """Return how many visible tasks of a group are in each state.

        Of a narrow token's tasks the newest `COUNTED`.
        """
        if caller.only() is None:
            return await self.whole.group_counts(group_id)
        return await self._counted(Filter(group=(group_id,)))

    async def registered(self, ids: Sequence[str]) -> set[str]:
        """Return those of `ids` whose group was told as they were sent, if visible."""
        seen_ = [task.id for task in await self.tasks(ids) if task is not None]
        return await self.whole.registered(seen_)

    async def counts(self) -> dict[str, int]:
        """Return how many visible tasks are in each state that has any.

        Of a narrow token's tasks the newest `COUNTED`.
        """
        if caller.only() is None:
            return await self.whole.counts()
        return await self._counted(Filter())

    async def _counted(self, filter_: Filter) -> dict[str, int]:
        counts: dict[str, int] = {}
        page = None
        while sum(counts.values()) < COUNTED:
            some = await self.page(filter_, limit=PAGE, page=page)
            for task in some.tasks:
                counts[task.state] = counts.get(task.state, 0) + 1
            page = some.next
            if page is None:
                break
        return counts

    async def gaps(self) -> list[Gap]:
        """Return the gaps; their reasons may name tasks and workers of others."""
        gaps = await self.whole.gaps()
        return gaps if caller.only() is None else [bare(gap) for gap in gaps]

    async def monitors(self) -> list[MonitorImage]:
        """Return the monitors that live; to a narrow token only how they fare."""
        monitors = await self.whole.monitors()
        if caller.only() is None:
            return monitors
        return [
            MonitorImage(
                id=f"monitor-{number}",
                started_at=one.started_at,
                seen_at=one.seen_at,
                connected=one.connected,
                last_event_at=one.last_event_at,
                lag_ms=one.lag_ms,
            )
            for number, one in enumerate(monitors, 1)
        ]

    async def read(
        self,
        after: Cursor,
        *,
        wait: float = 0.0,
        most: int = 100,
        until: Cursor | None = None,
    ) -> list[Entry]:
        """Return entries behind `after`, with what the caller may hear of."""
        entries = await self.whole.read(after, wait=wait, most=most, until=until)
        only = caller.only()
        if only is None:
            return entries
        return [
            msgspec.structs.replace(entry, changes=_heard(entry.changes, only))
            for entry in entries
        ]


def for_all(what: str) -> None:
    """Refuse `what` tells of all tasks to narrow tokens. Raises `Narrow`."""
    if caller.only() is not None:
        raise Narrow(what)


def bare(gap: Gap) -> Gap:
    """Return `gap` without what it may tell of tasks, workers and monitors."""
    return Gap(
        id=gap.since, since=gap.since, until=gap.until, reason="", state=gap.state
    )


def seen(
    store: Store, lookup: BackendLookup | None = None, seal: PageSeal | None = None
) -> Store:
    """Return `store` as callers may see it."""
    return store if isinstance(store, Seen) else cast(Store, Seen(store, lookup, seal))


def whole(store: Any) -> Any:
    """Return all of a store, for work that is nobody's: measures, caches, the log."""
    return store.whole if isinstance(store, Seen) else store


def _visible(task: TaskImage) -> bool:
    who = caller.current()
    return who is None or who.sees(task)


def _heard(changes: Sequence[Change], only: Filter) -> tuple[Change, ...]:
    return tuple(
        change
        for change in changes
        if change.kind == TASK
        and change.task is not None
        and (
            only.matches(change.task)
            or (change.before is not None and only.matched(change.task, change.before))
        )
    )
