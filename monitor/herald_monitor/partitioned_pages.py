"""Pages of several partitions as one, newest first. No I/O."""

from __future__ import annotations

import base64
import binascii
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from herald_monitor.errors import BadCursor
from herald_monitor.model.shape import TaskImage
from herald_monitor.paging import Spot, write_token
from herald_monitor.store import Page

ENDED = ""
"""The token of a partition that has no more; None is that of its beginning."""

Tokens = list[str | None]

_tokens = msgspec.json.Decoder(Tokens)


def write_tokens(tokens: Tokens) -> str:
    """Return the tokens of all partitions as one."""
    return base64.urlsafe_b64encode(msgspec.json.encode(tokens)).decode().rstrip("=")


def read_tokens(token: str | None, number: int) -> Tokens:
    """Return the tokens of `number` partitions. Raises `BadCursor`."""
    if token is None:
        return [None] * number
    try:
        padded = token.encode("ascii") + b"=" * (-len(token) % 4)
        raw = base64.b64decode(padded, altchars=b"-_", validate=True)
        tokens = _tokens.decode(raw)
        if len(tokens) == number:
            return tokens
    except (binascii.Error, ValueError, msgspec.DecodeError):
        pass
    raise BadCursor(
        f"{token[:40]!r} is no page token; pass back the `next` of a page, or none",
        "page",
    )


class _Met(NamedTuple):
    spot: Spot
    task: TaskImage


class Merge:
    """A page of `limit` tasks out of one of each of `number` partitions.

    One that is not added has ended.
    """

    def __init__(self, number: int, limit: int) -> None:
        self._limit = limit
        self._met: dict[int, deque[_Met]] = {}
        self._next = [ENDED] * number

    def add(
        self,
        part: int,
        tasks: Sequence[TaskImage],
        spots: Sequence[Spot],
        next_: str | None,
    ) -> None:
        """Take in a page of partition `part`, and the places of its tasks.

        A task without a place was forgotten meanwhile.
        """
        where = {spot.id: spot for spot in spots}
        met = [_Met(where[task.id], task) for task in tasks if task.id in where]
        self._met[part] = deque(met)
        self._next[part] = next_ or ENDED

    def page(self) -> Page:
        """Return the page, and where the next one continues.

        Each partition keeps its own order: clocks may differ, numbers do not.
        """
        taken: list[TaskImage] = []
        while (part := self._newest()) is not None and len(taken) < self._limit:
            taken.append(self._met[part].popleft().task)
        tokens: Tokens = [self._behind(part) for part in range(len(self._next))]
        more = any(token != ENDED for token in tokens)
        return Page(tuple(taken), write_tokens(tokens) if more else None)

    def _behind(self, part: int) -> str:
        left = self._met.get(part)
        # Not from the beginning: what came meanwhile is newer than the page.
        return write_token(left[0].spot.number + 1) if left else self._next[part]

    def _newest(self) -> int | None:
        """Return the partition whose next task is the newest of all, if it is known."""
        if any(not left and self._next[p] != ENDED for p, left in self._met.items()):
            return None  # what that one would tell next may be newer
        heads = {p: left[0].spot for p, left in self._met.items() if left}
        if not heads:
            return None
        return max(heads, key=lambda part: (heads[part].first, heads[part].id))
