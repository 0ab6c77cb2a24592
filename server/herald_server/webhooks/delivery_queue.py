"""Queue of messages for one endpoint. Pure.

The messages of one task form a lane: each is sent only once the previous ones were
accepted or given up. Lanes do not wait for each other. `cursor` is the position in the
log up to which nothing is pending, except deferred messages.
"""

from __future__ import annotations

import heapq
from bisect import insort
from collections import deque
from collections.abc import Iterable
from itertools import count

from herald_core.model.cursor import Cursor
from herald_server.webhooks.message import WebhookMessage

MAX_MESSAGES = 1_000
MAX_BYTES = 8 * 1024 * 1024
"""Pending bytes of one endpoint beyond which the log is not read."""


class LogBatch:
    """An entry of the log, and how many of its messages hold the cursor."""

    __slots__ = ("cursor", "open_count")

    def __init__(self, cursor: Cursor) -> None:
        self.cursor = cursor
        self.open_count = 0


class DeliveryQueue:
    """The pending messages, by task, and those in flight."""

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor
        self._queues: dict[str, list[WebhookMessage]] = {}
        self._by_id: dict[str, WebhookMessage] = {}
        self._batches: deque[LogBatch] = deque()
        self._batch_by_id: dict[str, LogBatch] = {}
        self._due_heap: list[tuple[float, int, WebhookMessage]] = []
        self._due_at: dict[str, float] = {}
        self._in_flight: set[str] = set()
        self._number = count()
        self._bytes = 0
        self.deferred: set[str] = set()
        """Ids of messages that the store keeps by itself."""

    def __len__(self) -> int:
        return len(self._by_id)

    def __contains__(self, id_: object) -> bool:
        return id_ in self._by_id

    @property
    def has_room(self) -> bool:
        """Whether more may be read."""
        return len(self._by_id) < MAX_MESSAGES and self._bytes < MAX_BYTES

    @property
    def cursor(self) -> Cursor:
        """Position up to which the log need not be read again."""
        while self._batches and not self._batches[0].open_count:
            self._cursor = self._batches.popleft().cursor
        return self._cursor

    @property
    def oldest_at(self) -> str:
        """Time of the oldest pending change; empty if there is none."""
        return min((one.at for one in self._by_id.values()), default="")

    def begin(self, cursor: Cursor) -> LogBatch:
        """Return a batch that holds the cursor until it is ended."""
        batch = LogBatch(cursor)
        batch.open_count = 1
        self._batches.append(batch)
        return batch

    def end(self, batch: LogBatch) -> None:
        """Record that `batch` is complete."""
        batch.open_count -= 1

    def add(self, message: WebhookMessage, batch: LogBatch) -> None:
        """Add `message`, unless it is pending already."""
        if message.id not in self._by_id:
            batch.open_count += 1
            self._batch_by_id[message.id] = batch
            self._put(message)

    def add_deferred(self, messages: Iterable[WebhookMessage]) -> None:
        """Add deferred messages, which the store keeps."""
        for message in messages:
            if message.id not in self._by_id:
                self._put(message)
            self.defer(message)

    def _put(self, message: WebhookMessage) -> None:
        self._by_id[message.id] = message
        self._bytes += len(message.body)
        self._due_at[message.id] = 0.0
        lane = self._queues.setdefault(message.lane, [])
        insort(lane, message, key=lambda one: one.place)
        self._schedule(lane)

    def _schedule(self, lane: list[WebhookMessage]) -> None:
        head = lane[0]
        if head.lane not in self._in_flight:
            due = (self._due_at[head.id], next(self._number), head)
            heapq.heappush(self._due_heap, due)

    def find_next_due_time(self) -> float | None:
        """Return when the next message may be sent; None if there is none."""
        while self._due_heap and not self._is_current(*self._due_heap[0]):
            heapq.heappop(self._due_heap)
        return self._due_heap[0][0] if self._due_heap else None

    def _is_current(self, due: float, _: int, message: WebhookMessage) -> bool:
        lane = self._queues.get(message.lane, [])
        return (
            bool(lane)
            and lane[0] is message
            and self._due_at[message.id] == due
            and message.lane not in self._in_flight
        )

    def take(self, now: float) -> WebhookMessage | None:
        """Return a message to send now and mark it as in flight; None
        if none is due."""
        due = self.find_next_due_time()
        if due is None or due > now:
            return None
        message = heapq.heappop(self._due_heap)[2]
        self._in_flight.add(message.lane)
        return message

    def retry(self, message: WebhookMessage, due: float) -> None:
        """Schedule a message that was in flight again, at `due`."""
        self._in_flight.discard(message.lane)
        self._due_at[message.id] = due
        self._schedule(self._queues[message.lane])

    def defer(self, message: WebhookMessage) -> None:
        """Let the cursor pass a message: the store keeps it."""
        self.deferred.add(message.id)
        self._release(message)

    def remove(self, message: WebhookMessage) -> None:
        """Remove a message that was accepted, or given up."""
        self._in_flight.discard(message.lane)
        self.deferred.discard(message.id)
        self._by_id.pop(message.id)
        self._due_at.pop(message.id)
        self._bytes -= len(message.body)
        lane = self._queues[message.lane]
        lane.remove(message)
        if lane:
            self._schedule(lane)
        else:
            del self._queues[message.lane]
        self._release(message)

    def _release(self, message: WebhookMessage) -> None:
        batch = self._batch_by_id.pop(message.id, None)
        if batch is not None:
            batch.open_count -= 1

    def list_behind_deferred(self) -> list[WebhookMessage]:
        """Return messages that wait for a deferred one, and are not deferred yet."""
        return [
            one
            for lane in self._queues.values()
            if lane[0].id in self.deferred
            for one in lane
            if one.id not in self.deferred
        ]
