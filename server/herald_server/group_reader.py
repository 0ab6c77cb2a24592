"""Groups and chains as one thing each: the same numbers at every door.

Members are counted by the store's index, however many there are. A group is `whole`
if all of its members are known: who sent it told them (Herald itself), or its size is
known (`group_sizes`), or nothing that runs can belong to it any more (`group_end`).
Only what is whole can be done.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import msgspec

from herald_monitor.model import shape
from herald_monitor.model.filters import Filter
from herald_monitor.model.shape import FINAL, LOST, PENDING, STATES, TaskImage, unix
from herald_monitor.store import Reader
from herald_server import caller
from herald_server.group_end import is_over
from herald_server.group_sizes import GroupSizes, Size
from herald_server.grouping import MOST, broken, in_order
from herald_server.seen import COUNTED

MOST_LISTED = 2_000
"""Members that are told one by one."""

ASKED = 20
"""Newest members of which it is asked how their group was told."""

SAMPLE = 100
"""Newest members that are looked at to know what kind of group it is."""

BODY_AFTER = 3.0
"""Seconds after which all headers of a chord are known whose body was heard of."""

GENERATIONS = 20
"""Steps of a chain that follows a chord."""

OVER = (*FINAL, LOST)
"""States in which there is nothing more to wait for."""


class GroupSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A group: how many members it has, and how far they are.

    `total` is exact if the group is `whole`, else what is known so far: at least so
    many. `heard` of them Herald knows, each counted in `counts` by its state. `over`
    are at an end; `never` will never run, since a step before them failed.
    """

    group_id: str
    total: int
    heard: int
    over: int
    never: int
    whole: bool
    counts: Mapping[str, int]
    newest: Sequence[TaskImage] = ()

    @property
    def done(self) -> bool:
        """Whether it is known that nothing more will happen."""
        return self.whole and self.over + self.never >= self.total

    @property
    def names(self) -> list[str]:
        """The names of some of its tasks."""
        return sorted({task.name for task in self.newest if task.name})[:5]

    @property
    def percent(self) -> float | None:
        """Percent of the members that are over; 100 only if all are. None if the
        group is not whole: then it is not known of how many.
        """
        if not self.total or not self.whole:
            return None
        return int(1000 * min(self.over, self.total) / self.total) / 10


class GroupReader:
    """Tells of groups what `reader` and the result backend know."""

    def __init__(self, reader: Reader, sizes: GroupSizes) -> None:
        self._reader = reader
        self._sizes = sizes

    async def summary(self, group_id: str) -> GroupSummary | None:
        """Return a group, None if nothing is known of it. Raises `StoreError`."""
        counts = await self._reader.group_counts(group_id)
        heard = sum(counts.values())
        if not heard:
            return None
        got = await self._reader.page(Filter(group=(group_id,)), limit=SAMPLE)
        newest = list(got.tasks)
        registered = await self._reader.registered([task.id for task in newest[:ASKED]])
        if registered:
            never = await self._never(group_id, counts, heard)
            size = None if _is_cut(heard) else heard
            return _summary(group_id, counts, heard, newest, never=never, size=size)
        bodies = await self._bodies(group_id, newest)
        members = [task for task in newest if task.id not in bodies]
        for task in bodies.values():
            counts[task.state] = max(counts.get(task.state, 0) - 1, 0)
        heard = sum(counts.values())
        size = await self._size(group_id, members, bodies, counts, heard)
        return _summary(group_id, counts, heard, members, size=size)

    async def members(self, group_id: str, most: int = MOST_LISTED) -> list[TaskImage]:
        """Return the newest `most` tasks of a group, in order. Raises `StoreError`."""
        return in_order(await newest_members(self._reader, group_id, most))

    async def _never(self, group_id: str, counts: Mapping[str, int], heard: int) -> int:
        """Return the steps of a chain that no step before them leads to any more."""
        failed = any(counts.get(state) for state in OVER if state != shape.SUCCESS)
        if heard > MOST or not failed or not counts.get(PENDING):
            return 0
        members = {
            task.id: task for task in await newest_members(self._reader, group_id, MOST)
        }
        return sum(broken(task, members) is not None for task in members.values())

    async def _bodies(
        self, group_id: str, newest: Sequence[TaskImage]
    ) -> dict[str, TaskImage]:
        """Return the tasks that run after the group: the body of a chord.

        Celery gives the body the id of the group of its header. It is called by the
        last of the header (or `celery.chord_unlock`), so members are its ancestors.
        """
        found: dict[str, TaskImage] = {}
        line = {task.id: task for task in newest if task.parent_id}
        for _ in range(GENERATIONS):
            if not line:
                break
            asked = {task.parent_id for task in line.values()} - {None}
            told = await self._reader.tasks([id_ for id_ in asked if id_])
            parents = {task.id: task for task in told if task}
            above: dict[str, TaskImage] = {}
            for id_, task in line.items():
                parent = parents.get(task.parent_id or "")
                if parent is None or parent.id == id_:
                    continue
                if _ends_header(parent, group_id):
                    found[id_] = next(one for one in newest if one.id == id_)
                elif parent.parent_id:
                    above[id_] = parent
            line = above
        return found

    async def _size(
        self,
        group_id: str,
        members: Sequence[TaskImage],
        bodies: Mapping[str, TaskImage],
        counts: Mapping[str, int],
        heard: int,
    ) -> int | None:
        """Return how many members the group has; None if that is not known."""
        parents = dict.fromkeys(t.parent_id for t in members if t.parent_id)
        size = await self._sizes.kept(group_id)
        if size is not None and not size.told and heard > size.members:
            await self._sizes.drop(group_id)
            size = None
        if size is None and self._sizes.is_due(group_id):
            size = await self._sizes.ask(group_id, list(parents))
            if size is None and await self._is_known_whole(
                group_id, members, bodies, counts, heard
            ):
                size = await self._sizes.keep(group_id, Size(heard, told=False))
        if size is None or _is_cut(heard):
            return None
        # How many are hidden is nothing that a narrow token may know.
        hidden = caller.only() is not None and size.members != heard
        return None if hidden else size.members

    async def _is_known_whole(
        self,
        group_id: str,
        members: Sequence[TaskImage],
        bodies: Mapping[str, TaskImage],
        counts: Mapping[str, int],
        heard: int,
    ) -> bool:
        if caller.only() is not None or _over(counts) < heard:
            return False
        now = time.time()
        if bodies:
            return all(
                _first_heard(body) + BODY_AFTER < now for body in bodies.values()
            )
        every = members
        if heard > len(members):
            found = await newest_members(self._reader, group_id, MOST_LISTED)
            every = [task for task in found if task.id not in bodies]
        return await is_over(self._reader, every, heard <= len(every), now)


async def newest_members(
    reader: Reader, group_id: str, most: int, states: Sequence[str] | None = None
) -> list[TaskImage]:
    """Return the newest `most` tasks of a group. Raises `StoreError`."""
    wanted = Filter(group=(group_id,), state=tuple(states) if states else None)
    found: list[TaskImage] = []
    page: str | None = None
    while len(found) < most:
        limit = min(250, most - len(found))
        got = await reader.page(wanted, limit=limit, page=page)
        found += got.tasks
        page = got.next
        if page is None:
            break
    return found


def _summary(
    group_id: str,
    counts: Mapping[str, int],
    heard: int,
    newest: Sequence[TaskImage],
    *,
    size: int | None,
    never: int = 0,
) -> GroupSummary:
    total = heard if size is None else size
    return GroupSummary(
        group_id=group_id,
        total=total,
        heard=min(heard, total),
        over=min(_over(counts), total),
        never=never,
        whole=size is not None,
        counts={state: counts[state] for state in STATES if counts.get(state)},
        newest=newest,
    )


def _is_cut(heard: int) -> bool:
    """Return True if a narrow token may have more tasks than are counted for it."""
    return caller.only() is not None and heard >= COUNTED


def _over(counts: Mapping[str, int]) -> int:
    return sum(counts.get(state, 0) for state in OVER)


def _ends_header(parent: TaskImage, group_id: str) -> bool:
    return parent.group_id == group_id or parent.name == "celery.chord_unlock"


def _first_heard(task: TaskImage) -> float:
    known = (task.submitted_at, task.received_at, task.started_at, task.updated_at)
    return min((unix(at) for at in known if at), default=float("inf"))
