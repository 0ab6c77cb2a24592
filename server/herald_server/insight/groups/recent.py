"""The most recent groups and chains."""

from __future__ import annotations

import asyncio

import msgspec

from herald_core.store.ports import TaskReader
from herald_server.insight.groups.reader import GroupReader, GroupSummary

MAX_READS = 8
"""Groups that are counted at once."""


class GroupOverview(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A group or chain. `newest_at` is when one of the newest members changed.

    `total` is exact if the group is `whole`, else a lower bound. `percent` is the share
    of the members that have ended.
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


class RecentGroups(msgspec.Struct, frozen=True):
    """Groups, the newest first, of `searched` ones. Not `whole` if there are more."""

    groups: tuple[GroupOverview, ...]
    searched: int
    whole: bool


async def read_recent_groups(
    reader: TaskReader, groups: GroupReader, limit: int
) -> RecentGroups:
    """Return up to `limit` groups with the newest members. Raises `StoreError`."""
    listed = await reader.list_groups(limit + 1)
    chosen = listed[:limit]
    turn = asyncio.Semaphore(MAX_READS)

    async def line(id_: str) -> GroupOverview | None:
        async with turn:
            found = await groups.read_summary(id_)
        return None if found is None else _make_overview(found)

    lines = await asyncio.gather(*(line(id_) for id_, _ in chosen))
    known = tuple(one for one in lines if one is not None)
    return RecentGroups(known, len(chosen), len(listed) <= limit)


def _make_overview(found: GroupSummary) -> GroupOverview:
    return GroupOverview(
        group_id=found.group_id,
        total=found.total,
        finished=found.over,
        done=found.is_done,
        whole=found.whole,
        percent=found.percent,
        counts=dict(found.counts),
        names=tuple(found.names),
        newest_at=max((t.updated_at or "" for t in found.newest), default="") or None,
    )
