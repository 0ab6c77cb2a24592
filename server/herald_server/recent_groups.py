"""The groups and chains of late, each as one line."""

from __future__ import annotations

import asyncio

import msgspec

from herald_monitor.store import Reader
from herald_server.group_reader import GroupReader, GroupSummary

AT_ONCE = 8
"""Groups that are counted at once."""


class GroupLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A group or chain. `newest_at` is when one of the newest
    members changed.

    `total` is exact if the group is `whole`, else at least so many. `percent` is the
    share of the members that have ended.
    """

    group_id: str
    total: int
    finished: int
    done: bool
    whole: bool
    percent: float | None = None
    counts: dict[str, int]
    names: tuple[str, ...] = ()
    newest_at: str | None = None


class Recent(msgspec.Struct, frozen=True):
    """Groups, the newest first, of `searched` ones. Not `whole` if there are more."""

    groups: tuple[GroupLine, ...]
    searched: int
    whole: bool


async def recent(reader: Reader, groups: GroupReader, limit: int) -> Recent:
    """Return up to `limit` groups of the newest members. Raises `StoreError`."""
    listed = await reader.groups(limit + 1)
    chosen = listed[:limit]
    turn = asyncio.Semaphore(AT_ONCE)

    async def line(id_: str) -> GroupLine | None:
        async with turn:
            found = await groups.summary(id_)
        return None if found is None else _line(found)

    lines = await asyncio.gather(*(line(id_) for id_, _ in chosen))
    known = tuple(one for one in lines if one is not None)
    return Recent(known, len(chosen), len(listed) <= limit)


def _line(found: GroupSummary) -> GroupLine:
    return GroupLine(
        group_id=found.group_id,
        total=found.total,
        finished=found.over,
        done=found.done,
        whole=found.whole,
        percent=found.percent,
        counts=dict(found.counts),
        names=tuple(found.names),
        newest_at=max((t.updated_at or "" for t in found.newest), default="") or None,
    )
