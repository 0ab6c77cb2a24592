"""Read groups and chains: the same numbers in every API.

Members are counted by the store's index. A group is `whole` if all of its members are
known: Herald sent it, or its size is known (`group_sizes`), or no running task can
belong to it (`group_end`). Only a whole group can be done.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import msgspec

from herald_core.model.filters import Filter
from herald_core.model.tasks import views
from herald_core.model.tasks.views import (
    FINAL_STATES,
    LOST,
    PENDING,
    STATES,
    TaskView,
    from_rfc3339,
)
from herald_core.store.ports import TaskReader
from herald_server.auth import request_context
from herald_server.auth.scoped_counts import MAX_EXACT_COUNT
from herald_server.insight.groups.completeness import is_group_over
from herald_server.insight.groups.members import (
    MAX_MEMBERS,
    find_broken_link,
    sort_members,
)
from herald_server.insight.groups.sizes import GroupSize, GroupSizeStore

MAX_LISTED = 2_000
"""Maximum number of listed members."""

MAX_ASKED = 20
"""Newest members that are used to find the registered size of the group."""

SAMPLE_SIZE = 100
"""Newest members that are looked at to know what kind of group it is."""

BODY_DELAY_S = 3.0
"""Seconds after the first event of the body of a chord at which all its headers are
known."""

MAX_GENERATIONS = 20
"""Steps of a chain that follows a chord."""

OVER_STATES = (*FINAL_STATES, LOST)
"""States in which a member is finished."""


class GroupSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A group: its number of members and their progress.

    `total` is exact if the group is `whole`, else a lower bound. Herald knows `heard`
    of them, each counted in `counts` by its state. `over` have ended; `never` will
    never run, since a step before them failed.
    """

    group_id: str
    total: int
    heard: int
    over: int
    never: int
    whole: bool
    counts: Mapping[str, int]
    newest: Sequence[TaskView] = ()

    @property
    def is_done(self) -> bool:
        """Whether it is known that no member will change."""
        return self.whole and self.over + self.never >= self.total

    @property
    def names(self) -> list[str]:
        """Names of some of its tasks."""
        return sorted({task.name for task in self.newest if task.name})[:5]

    @property
    def percent(self) -> float | None:
        """Percentage of the members that have ended; 100 only if all
        have. None if the group is not whole: then its size is not
        known."""
        if not self.total or not self.whole:
            return None
        return int(1000 * min(self.over, self.total) / self.total) / 10


class GroupReader:
    """Reads groups from `reader` and the result backend."""

    def __init__(self, reader: TaskReader, sizes: GroupSizeStore) -> None:
        self._reader = reader
        self._sizes = sizes

    async def read_summary(self, group_id: str) -> GroupSummary | None:
        """Return a group; None if it is unknown. Raises `StoreError`."""
        counts = await self._reader.count_group_by_state(group_id)
        heard = sum(counts.values())
        if not heard:
            return None
        got = await self._reader.list_tasks(
            Filter(group=(group_id,)), limit=SAMPLE_SIZE
        )
        newest = list(got.tasks)
        registered = await self._reader.find_registered(
            [task.id for task in newest[:MAX_ASKED]]
        )
        if registered:
            never = await self._count_unreachable(group_id, counts, heard)
            size = None if _is_truncated(heard) else heard
            return _make_summary(
                group_id, counts, heard, newest, never=never, size=size
            )
        bodies = await self._read_bodies(group_id, newest)
        members = [task for task in newest if task.id not in bodies]
        for task in bodies.values():
            counts[task.state] = max(counts.get(task.state, 0) - 1, 0)
        heard = sum(counts.values())
        size = await self._find_size(group_id, members, bodies, counts, heard)
        return _make_summary(group_id, counts, heard, members, size=size)

    async def read_members(
        self, group_id: str, limit: int = MAX_LISTED
    ) -> list[TaskView]:
        """Return the newest `limit` tasks of a group, in order. Raises `StoreError`."""
        return sort_members(await read_newest_members(self._reader, group_id, limit))

    async def _count_unreachable(
        self, group_id: str, counts: Mapping[str, int], heard: int
    ) -> int:
        """Return the number of steps of a chain that can never run."""
        failed = any(
            counts.get(state) for state in OVER_STATES if state != views.SUCCESS
        )
        if heard > MAX_MEMBERS or not failed or not counts.get(PENDING):
            return 0
        members = {
            task.id: task
            for task in await read_newest_members(self._reader, group_id, MAX_MEMBERS)
        }
        return sum(
            find_broken_link(task, members) is not None for task in members.values()
        )

    async def _read_bodies(
        self, group_id: str, newest: Sequence[TaskView]
    ) -> dict[str, TaskView]:
        """Return the tasks that run after the group: the body of a chord.

        Celery gives the body the group id of its header. Workers with the outbox say
        which task it is. Otherwise it is called by the last task of the header (or
        `celery.chord_unlock`), so members are its ancestors.
        """
        told = {task.chord_id for task in newest}
        found = {task.id: task for task in newest if task.id in told}
        line = {task.id: task for task in newest if task.parent_id}
        for _ in range(MAX_GENERATIONS):
            if not line:
                break
            asked = {task.parent_id for task in line.values()} - {None}
            read = await self._reader.get_tasks([id_ for id_ in asked if id_])
            parents = {task.id: task for task in read if task}
            above: dict[str, TaskView] = {}
            for id_, task in line.items():
                parent = parents.get(task.parent_id or "")
                if parent is None or parent.id == id_:
                    continue
                if _is_chord_body(parent, group_id):
                    found[id_] = next(one for one in newest if one.id == id_)
                elif parent.parent_id:
                    above[id_] = parent
            line = above
        return found

    async def _find_size(
        self,
        group_id: str,
        members: Sequence[TaskView],
        bodies: Mapping[str, TaskView],
        counts: Mapping[str, int],
        heard: int,
    ) -> int | None:
        """Return the number of members; None if it is not known."""
        parents = dict.fromkeys(t.parent_id for t in members if t.parent_id)
        size = await self._sizes.load(group_id)
        if size is not None and not size.told and heard > size.members:
            await self._sizes.delete(group_id)
            size = None
        if size is None and self._sizes.is_due(group_id):
            size = await self._sizes.fetch(group_id, list(parents))
            if size is None and await self._is_known_whole(
                group_id, members, bodies, counts, heard
            ):
                size = await self._sizes.store(group_id, GroupSize(heard, told=False))
        if size is None or _is_truncated(heard):
            return None
        # The number of hidden members must not be revealed to a task-scoped token.
        hidden = request_context.get_task_filter() is not None and size.members != heard
        return None if hidden else size.members

    async def _is_known_whole(
        self,
        group_id: str,
        members: Sequence[TaskView],
        bodies: Mapping[str, TaskView],
        counts: Mapping[str, int],
        heard: int,
    ) -> bool:
        if request_context.get_task_filter() is not None or _count_over(counts) < heard:
            return False
        now = time.time()
        if bodies:
            return all(
                _get_first_event_time(body) + BODY_DELAY_S < now
                for body in bodies.values()
            )
        every = members
        if heard > len(members):
            found = await read_newest_members(self._reader, group_id, MAX_LISTED)
            every = [task for task in found if task.id not in bodies]
        return await is_group_over(self._reader, every, heard <= len(every), now)


async def read_newest_members(
    reader: TaskReader, group_id: str, most: int, states: Sequence[str] | None = None
) -> list[TaskView]:
    """Return the newest `most` tasks of a group. Raises `StoreError`."""
    wanted = Filter(group=(group_id,), state=tuple(states) if states else None)
    found: list[TaskView] = []
    page: str | None = None
    while len(found) < most:
        limit = min(250, most - len(found))
        got = await reader.list_tasks(wanted, limit=limit, page=page)
        found += got.tasks
        page = got.next
        if page is None:
            break
    return found


def _make_summary(
    group_id: str,
    counts: Mapping[str, int],
    heard: int,
    newest: Sequence[TaskView],
    *,
    size: int | None,
    never: int = 0,
) -> GroupSummary:
    total = heard if size is None else size
    return GroupSummary(
        group_id=group_id,
        total=total,
        heard=min(heard, total),
        over=min(_count_over(counts), total),
        never=never,
        whole=size is not None,
        counts={state: counts[state] for state in STATES if counts.get(state)},
        newest=newest,
    )


def _is_truncated(heard: int) -> bool:
    """Return True if a task-scoped token may have more tasks than were counted."""
    return request_context.get_task_filter() is not None and heard >= MAX_EXACT_COUNT


def _count_over(counts: Mapping[str, int]) -> int:
    return sum(counts.get(state, 0) for state in OVER_STATES)


def _is_chord_body(parent: TaskView, group_id: str) -> bool:
    return parent.group_id == group_id or parent.name == "celery.chord_unlock"


def _get_first_event_time(task: TaskView) -> float:
    known = (task.submitted_at, task.received_at, task.started_at, task.updated_at)
    return min((from_rfc3339(at) for at in known if at), default=float("inf"))
