"""Pages of several partitions as one, newest first. No I/O."""

from __future__ import annotations

import base64
import binascii
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from herald_core.errors import InvalidCursor
from herald_core.model.tasks.views import TaskView
from herald_core.store.page_tokens import PagePosition, encode_token
from herald_core.store.types import TaskPage

END_TOKEN = ""
"""The token of a partition that has no more; None is that of its beginning."""

PartitionTokens = list[str | None]

_tokens_decoder = msgspec.json.Decoder(PartitionTokens)


def encode_tokens(tokens: PartitionTokens) -> str:
    """Return the tokens of all partitions as one."""
    return base64.urlsafe_b64encode(msgspec.json.encode(tokens)).decode().rstrip("=")


def decode_tokens(token: str | None, number: int) -> PartitionTokens:
    """Return the tokens of `number` partitions. Raises `InvalidCursor`."""
    if token is None:
        return [None] * number
    try:
        padded = token.encode("ascii") + b"=" * (-len(token) % 4)
        raw = base64.b64decode(padded, altchars=b"-_", validate=True)
        tokens = _tokens_decoder.decode(raw)
        if len(tokens) == number:
            return tokens
    except (binascii.Error, ValueError, msgspec.DecodeError):
        pass
    raise InvalidCursor(
        f"{token[:40]!r} is no page token; pass back the `next` of a page, or none",
        "page",
    )


class _PageTask(NamedTuple):
    spot: PagePosition
    task: TaskView


class PageMerge:
    """A page of `limit` tasks out of one of each of `number` partitions.

    One that is not added has ended.
    """

    def __init__(self, number: int, limit: int) -> None:
        self._limit = limit
        self._read_tasks: dict[int, deque[_PageTask]] = {}
        self._next = [END_TOKEN] * number

    def add(
        self,
        part: int,
        tasks: Sequence[TaskView],
        spots: Sequence[PagePosition],
        next_: str | None,
    ) -> None:
        """Add a page of partition `part`, and the positions of its tasks.

        A task without a position was deleted meanwhile.
        """
        where = {spot.id: spot for spot in spots}
        met = [_PageTask(where[task.id], task) for task in tasks if task.id in where]
        self._read_tasks[part] = deque(met)
        self._next[part] = next_ or END_TOKEN

    def make_page(self) -> TaskPage:
        """Return the page, and the position where the next one continues.

        Each partition has its own order: clocks may differ, numbers do not.
        """
        taken: list[TaskView] = []
        while (part := self._find_newest()) is not None and len(taken) < self._limit:
            taken.append(self._read_tasks[part].popleft().task)
        tokens: PartitionTokens = [
            self._make_token(part) for part in range(len(self._next))
        ]
        more = any(token != END_TOKEN for token in tokens)
        return TaskPage(tuple(taken), encode_tokens(tokens) if more else None)

    def _make_token(self, part: int) -> str:
        left = self._read_tasks.get(part)
        # The walk does not restart: tasks that arrived meanwhile are newer than the
        # page.
        return encode_token(left[0].spot.number + 1) if left else self._next[part]

    def _find_newest(self) -> int | None:
        """Return the partition whose next task is the newest of all, if it is known."""
        if any(
            not left and self._next[p] != END_TOKEN
            for p, left in self._read_tasks.items()
        ):
            return None  # the next task of that partition may be newer
        heads = {p: left[0].spot for p, left in self._read_tasks.items() if left}
        if not heads:
            return None
        return max(heads, key=lambda part: (heads[part].first, heads[part].id))
