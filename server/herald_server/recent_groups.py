"""The groups and chains of late, each as one line."""

from __future__ import annotations

import msgspec

from herald_monitor.model.filters import Filter
from herald_monitor.model.shape import FINAL, STATES, TaskImage
from herald_monitor.store import Reader

SEARCHED = 2_000
"""Newest tasks whose groups are told: groups have no list of their own."""

PAGE = 500
MOST = 1_000_000


class GroupLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A group or chain. `newest_at` is when the newest member that was met changed."""

    group_id: str
    total: int
    finished: int
    done: bool
    counts: dict[str, int]
    names: tuple[str, ...] = ()
    newest_at: str | None = None


class Recent(msgspec.Struct, frozen=True):
    """Groups, the newest first. Not `whole` if older tasks were not looked through."""

    groups: tuple[GroupLine, ...]
    searched: int
    whole: bool


async def recent(reader: Reader, limit: int) -> Recent:
    """Return up to `limit` groups of the newest tasks. Raises `StoreError`."""
    met: dict[str, list[TaskImage]] = {}
    searched, page = 0, None
    while searched < SEARCHED and len(met) < limit:
        got = await reader.page(Filter(), limit=PAGE, page=page)
        searched, page = searched + len(got.tasks), got.next
        for task in got.tasks:
            if task.group_id:
                met.setdefault(task.group_id, []).append(task)
        if page is None:
            break
    chosen = list(met.items())[:limit]
    lines = [await _line(reader, id_, members) for id_, members in chosen]
    whole = page is None and len(met) <= limit
    return Recent(tuple(lines), searched, whole)


async def _line(reader: Reader, id_: str, met: list[TaskImage]) -> GroupLine:
    counts: dict[str, int] = {}
    for state in STATES:
        number = await reader.count(Filter(group=(id_,), state=(state,)), MOST)
        if number:
            counts[state] = number
    total = sum(counts.values())
    finished = sum(number for state, number in counts.items() if state in FINAL)
    return GroupLine(
        group_id=id_,
        total=total,
        finished=finished,
        done=finished == total,
        counts=counts,
        names=tuple(sorted({task.name for task in met if task.name})[:5]),
        newest_at=max((task.updated_at or "" for task in met), default="") or None,
    )
