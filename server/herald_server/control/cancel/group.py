"""Cancel a group: all of its known tasks, in batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from herald_core.model.tasks.views import STATES
from herald_core.store.ports import TaskReader
from herald_server.control.cancel.canceller import Canceller, CancelResult
from herald_server.insight.groups.reader import (
    MAX_LISTED,
    OVER_STATES,
    read_newest_members,
)

MAX_CANCELLED = 10_000
"""Unfinished members that one request cancels: workers answer for each batch."""

UNFINISHED_STATES = tuple(state for state in STATES if state not in OVER_STATES)


async def cancel_members(
    cancels: Canceller, reader: TaskReader, group_id: str
) -> list[CancelResult]:
    """Cancel the unfinished tasks of a group; return the result of each task.

    Of the finished tasks the newest are included. Raises `BrokerUnreachable`,
    `StoreError`.
    """
    open_ = await read_newest_members(
        reader, group_id, MAX_CANCELLED, UNFINISHED_STATES
    )
    room = max(MAX_LISTED - len(open_), 0)
    ended = (
        await read_newest_members(reader, group_id, room, OVER_STATES) if room else []
    )
    done: list[CancelResult] = []
    for some in _split_batches([task.id for task in (*ended, *open_)]):
        done += await cancels.cancel(some)
    return done


def _split_batches(ids: Sequence[str]) -> Iterator[list[str]]:
    rest = iter(ids)
    while some := list(islice(rest, MAX_LISTED)):
        yield some
