"""What waits to be sent to one endpoint, and in which order. Pure.

The messages of one task are a lane: one is sent only once those before it were
accepted or given up. Lanes do not wait for each other. `cursor` is the place in
the log up to which nothing waits any more, except what the store keeps by itself.
"""

from __future__ import annotations

import heapq
from bisect import insort
from collections import deque
from collections.abc import Iterable
from itertools import count

from herald_monitor.model.cursor import Cursor
from herald_server.webhooks.message import Message

MOST = 1_000
MOST_BYTES = 8 * 1024 * 1024
"""What waits in memory for one endpoint; beyond it, the log is read no further."""


class Batch:
    """An entry of the log, and how much of it keeps the cursor from moving on."""

    __slots__ = ("cursor", "open")

    def __init__(self, cursor: Cursor) -> None:
        self.cursor = cursor
        self.open = 0


class Lanes:
    """The messages that wait, by task, and those that are under way."""

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor
        self._lanes: dict[str, list[Message]] = {}
        self._by_id: dict[str, Message] = {}
        self._batches: deque[Batch] = deque()
        self._holding: dict[str, Batch] = {}
        self._due: list[tuple[float, int, Message]] = []
        self._when: dict[str, float] = {}
        self._flying: set[str] = set()
        self._number = count()
        self._bytes = 0
        self.kept: set[str] = set()
        """Ids of messages that the store keeps by itself."""

    def __len__(self) -> int:
        return len(self._by_id)

    def __contains__(self, id_: object) -> bool:
        return id_ in self._by_id

    @property
    def room(self) -> bool:
        """Whether more may be read."""
        return len(self._by_id) < MOST and self._bytes < MOST_BYTES

    @property
    def cursor(self) -> Cursor:
        """The place up to which the log need not be read again."""
        while self._batches and not self._batches[0].open:
            self._cursor = self._batches.popleft().cursor
        return self._cursor

    @property
    def oldest(self) -> str:
        """When the oldest change happened that waits; empty if none does."""
        return min((one.at for one in self._by_id.values()), default="")

    def begin(self, cursor: Cursor) -> Batch:
        """Return a batch that holds the cursor until it is ended."""
        batch = Batch(cursor)
        batch.open = 1
        self._batches.append(batch)
        return batch

    def end(self, batch: Batch) -> None:
        """Say that `batch` is complete."""
        batch.open -= 1

    def add(self, message: Message, batch: Batch) -> None:
        """Have `message` sent; what waits already is not added again."""
        if message.id not in self._by_id:
            batch.open += 1
            self._holding[message.id] = batch
            self._put(message)

    def add_kept(self, messages: Iterable[Message]) -> None:
        """Have messages sent that the store keeps by itself."""
        for message in messages:
            if message.id not in self._by_id:
                self._put(message)
            self.keep(message)

    def _put(self, message: Message) -> None:
        self._by_id[message.id] = message
        self._bytes += len(message.body)
        self._when[message.id] = 0.0
        lane = self._lanes.setdefault(message.lane, [])
        insort(lane, message, key=lambda one: one.place)
        self._show(lane)

    def _show(self, lane: list[Message]) -> None:
        head = lane[0]
        if head.lane not in self._flying:
            due = (self._when[head.id], next(self._number), head)
            heapq.heappush(self._due, due)

    def next_due(self) -> float | None:
        """Return when the next message may be sent; None if none waits for that."""
        while self._due and not self._waits(*self._due[0]):
            heapq.heappop(self._due)
        return self._due[0][0] if self._due else None

    def _waits(self, due: float, _: int, message: Message) -> bool:
        lane = self._lanes.get(message.lane, [])
        return (
            bool(lane)
            and lane[0] is message
            and self._when[message.id] == due
            and message.lane not in self._flying
        )

    def take(self, now: float) -> Message | None:
        """Return a message to send now, which is under way from then on."""
        due = self.next_due()
        if due is None or due > now:
            return None
        message = heapq.heappop(self._due)[2]
        self._flying.add(message.lane)
        return message

    def again(self, message: Message, due: float) -> None:
        """Have a message that was under way sent once more, at `due`."""
        self._flying.discard(message.lane)
        self._when[message.id] = due
        self._show(self._lanes[message.lane])

    def keep(self, message: Message) -> None:
        """Let the cursor pass a message: the store keeps it by itself."""
        self.kept.add(message.id)
        self._let_go(message)

    def done(self, message: Message) -> None:
        """Forget a message that was accepted, or given up."""
        self._flying.discard(message.lane)
        self.kept.discard(message.id)
        self._by_id.pop(message.id)
        self._when.pop(message.id)
        self._bytes -= len(message.body)
        lane = self._lanes[message.lane]
        lane.remove(message)
        if lane:
            self._show(lane)
        else:
            del self._lanes[message.lane]
        self._let_go(message)

    def _let_go(self, message: Message) -> None:
        batch = self._holding.pop(message.id, None)
        if batch is not None:
            batch.open -= 1

    def behind_kept(self) -> list[Message]:
        """Return messages that wait for one that is kept, and are not kept yet."""
        return [
            one
            for lane in self._lanes.values()
            if lane[0].id in self.kept
            for one in lane
            if one.id not in self.kept
        ]
