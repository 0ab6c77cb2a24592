"""A store that can be maltreated, and gates that decide when it answers.

Each word between a node and the store waits at a gate until the schedule lets
it through, both on its way there and on its way back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import Any, TypeVar

import msgspec

from herald_core.model.changes import TASK, Change, LogEntry
from herald_core.model.cursor import START, Cursor
from herald_core.model.filters import Filter
from herald_core.model.tasks.views import TaskView
from herald_core.store.memory.store import MemoryStore
from herald_core.store.records import RecordUpdate, make_orphan_cleanup
from herald_core.store.types import TaskPage

T = TypeVar("T")


class Gates:
    """Where everything waits for its turn."""

    def __init__(self) -> None:
        self.waiting: list[asyncio.Future[None]] = []
        self.open = False

    async def go(self) -> None:
        """Wait for a turn."""
        if self.open:
            await asyncio.sleep(0)
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.append(turn)
        try:
            await turn
        finally:
            if turn in self.waiting:
                self.waiting.remove(turn)

    def let(self, random: Random) -> None:
        """Give somebody the turn."""
        if self.waiting:
            turn = self.waiting.pop(random.randrange(len(self.waiting)))
            if not turn.done():
                turn.set_result(None)

    def let_all(self) -> None:
        """Keep nobody waiting any more."""
        self.open = True
        while self.waiting:
            self.waiting.pop().set_result(None)


class FragileStore(MemoryStore):
    """A store that is trimmed, flushed, and loses what its replica did not get.

    `history` has, for each place in the log, what was stored then.
    """

    def __init__(self, gates: Gates) -> None:
        super().__init__(log_length=1_000_000)
        self._gates = gates
        self._epochs = 1_000
        self._fence = ""
        self._truth: dict[str, TaskView] = {}
        self._replica: dict[str, Any] | None = None
        self.history: dict[Cursor, dict[str, TaskView]] = {}
        self.changes: dict[Cursor, tuple[Change, ...]] = {}

    # -- what happens to it --------------------------------------------------------

    def _append(self, drafts: Sequence[RecordUpdate]) -> None:
        if self._end == START or self._fence != self._identity:
            self._epochs += 1
            self._end = Cursor(self._epochs, -1)
            self._fence = self._identity
        super()._append(drafts)
        entry = self._log[-1]
        for change in entry.changes:
            if change.is_deletion:
                self._truth.pop(change.id, None)
            elif change.task is not None:
                self._truth[change.id] = msgspec.structs.replace(
                    change.task, rev=change.rev
                )
        self.history[entry.cursor] = dict(self._truth)
        self.changes[entry.cursor] = entry.changes

    def heartbeat(self) -> None:
        """Append an entry without changes."""
        self._append([])

    def forget(self, task_id: str) -> None:
        """Sweep a task away."""
        if (TASK, task_id) in self._records:
            self._delete([(TASK, task_id)])

    def expire(self, task_id: str) -> None:
        """Find that a record ran out unnoticed: nobody knows what it was."""
        if self._records.pop((TASK, task_id), None) is not None:
            del self._due[TASK, task_id]
            self._append([make_orphan_cleanup((TASK, task_id), ())])

    def trim(self, keep: int) -> None:
        """Cut the log off."""
        while len(self._log) > keep:
            self._log.popleft()

    def replicate(self) -> None:
        """Bring the replica up to date."""
        kept = ("_records", "_due", "_expired_ids", "_log", "_truth", "_end", "_fence")
        self._replica = {
            name: value.copy() if hasattr(value, "copy") else value
            for name, value in ((n, getattr(self, n)) for n in kept)
        }

    def fail_over(self, identity: str) -> None:
        """Go on with the replica: what it did not get was never there."""
        if self._replica is not None:
            vars(self).update(self._replica)
            self._identity = identity
            self.replicate()

    def flush(self) -> None:
        """Lose everything, and stay the same server."""
        for kept in (
            self._records,
            self._due,
            self._expired_ids,
            self._log,
            self._truth,
        ):
            kept.clear()
        self._end, self._fence = START, ""
        self.replicate()

    # -- what nodes see of it --------------------------------------------------------

    async def _gated(self, answer: Callable[[], Awaitable[T]]) -> T:
        await self._gates.go()
        said = await answer()
        await self._gates.go()
        return said

    async def read_end(self) -> Cursor:
        return await self._gated(super().read_end)

    async def read_history_id(self) -> str:
        return await self._gated(super().read_history_id)

    async def read_entries(
        self,
        after: Cursor,
        *,
        wait: float = 0.0,
        limit: int = 100,
        until: Cursor | None = None,
    ) -> list[LogEntry]:
        read = super().read_entries
        return await self._gated(lambda: read(after, limit=min(limit, 4), until=until))

    async def count_tasks(
        self,
        filter_: Filter,
        limit: int,
        *,
        after: float | None = None,
        before: float | None = None,
    ) -> int:
        count = super().count_tasks
        return await self._gated(
            lambda: count(filter_, limit, after=after, before=before)
        )

    async def get_tasks(self, ids: Sequence[str]) -> list[TaskView | None]:
        tasks = super().get_tasks
        return await self._gated(lambda: tasks(ids))

    async def list_tasks(
        self,
        filter_: Filter,
        *,
        limit: int = 100,
        page: str | None = None,
        after: float | None = None,
        before: float | None = None,
    ) -> TaskPage:
        get = super().list_tasks
        return await self._gated(
            lambda: get(filter_, limit=limit, page=page, after=after, before=before)
        )
