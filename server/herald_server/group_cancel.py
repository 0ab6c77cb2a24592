"""Cancelling a group: all of its tasks that are known, however many there are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from herald_monitor.model.shape import STATES
from herald_monitor.store import Reader
from herald_server.cancelling import Cancelled, Cancels
from herald_server.group_reader import MOST_LISTED, OVER, newest_members

MOST_CANCELLED = 10_000
"""Unfinished members that one order cancels: workers answer for each batch of them."""

NOT_OVER = tuple(state for state in STATES if state not in OVER)


async def cancel_members(
    cancels: Cancels, reader: Reader, group_id: str
) -> list[Cancelled]:
    """Cancel what of a group has not ended, and say what came of each task.

    Of those that had ended before the newest are told. Raises `BrokerUnreachable`,
    `StoreError`.
    """
    open_ = await newest_members(reader, group_id, MOST_CANCELLED, NOT_OVER)
    room = max(MOST_LISTED - len(open_), 0)
    ended = await newest_members(reader, group_id, room, OVER) if room else []
    done: list[Cancelled] = []
    for some in _batches([task.id for task in (*ended, *open_)]):
        done += await cancels.cancel(some)
    return done


def _batches(ids: Sequence[str]) -> Iterator[list[str]]:
    rest = iter(ids)
    while some := list(islice(rest, MOST_LISTED)):
        yield some
