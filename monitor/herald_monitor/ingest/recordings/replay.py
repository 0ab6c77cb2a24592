"""Replay of a recording into a store, as a monitor would have stored it."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterable, Sequence

from herald_core.model.filters import Filter
from herald_core.model.tasks.views import TaskView
from herald_core.store.ports import TaskReader, Writer
from herald_monitor.ingest.buffer import EventBuffer
from herald_monitor.ingest.consumers.acks import Ack
from herald_monitor.ingest.consumers.envelope import OnInvalid, RawEvent, drop_invalid
from herald_monitor.ingest.parser import Counters
from herald_monitor.ingest.recorder import MAX_BATCH_EVENTS, Recorder
from herald_monitor.ingest.recordings.format import RecordedMessage

PAGE_TASKS = 500


def shuffle_messages(
    messages: Sequence[RecordedMessage], seed: int
) -> list[RecordedMessage]:
    """Return each event as a message of its own, shuffled with `seed`.

    Each has its original time of arrival.
    """
    single = [
        RecordedMessage(
            heard=message.heard, routing_key=message.routing_key, events=[event]
        )
        for message in messages
        for event in message.events
    ]
    random.Random(seed).shuffle(single)
    return single


class ReplaySession:
    """Messages to replay into a `writer`. `speed`: 1 as recorded, 0 without a pause."""

    def __init__(
        self, writer: Writer, redact: Callable[[str], str], speed: float = 0.0
    ) -> None:
        self._buffer = EventBuffer()
        self._recorder = Recorder(self._buffer, writer, redact, "replay")
        self._speed = speed

    @property
    def counters(self) -> Counters:
        """The number of events, in total and by kind."""
        return self._recorder.parser.counters

    @property
    def samples(self) -> list[str]:
        """The latest events that were set aside, and why."""
        return list(self._recorder.parser.samples)

    async def run(self, messages: Iterable[RecordedMessage]) -> None:
        """Replay all `messages`; return when they are stored."""
        began, first = time.monotonic(), None
        for message in messages:
            if self._speed:
                first = message.heard if first is None else first
                due = began + (message.heard - first) / self._speed
                if due > time.monotonic():
                    await self._recorder.drain()
                    await asyncio.sleep(due - time.monotonic())
            self._put_message(message)
            if self._buffer.waiting >= MAX_BATCH_EVENTS:
                await self._recorder.drain()
        await self._recorder.drain()

    def _put_message(self, message: RecordedMessage) -> None:
        if message.unread:
            self._recorder.parser.quarantine(
                message.unread.encode(), "It was not readable."
            )
        poison: OnInvalid = self._recorder.parser.quarantine
        events: list[RawEvent] = drop_invalid(message.events, poison)
        if events:
            self._buffer.put_threadsafe(events, message.heard, Ack())


async def read_all_tasks(reader: TaskReader) -> list[TaskView]:
    """Return all tasks of a store, in the order of their first arrival."""
    found: list[TaskView] = []
    page: str | None = None
    while True:
        told = await reader.list_tasks(Filter(), limit=PAGE_TASKS, page=page)
        found += told.tasks
        page = told.next
        if page is None:
            return found[::-1]
