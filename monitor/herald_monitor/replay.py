"""A recording told again to a store, as a monitor would have told it."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterable, Sequence

from herald_monitor.intake import Intake
from herald_monitor.interpreting import Counters
from herald_monitor.model.filters import Filter
from herald_monitor.model.shape import TaskImage
from herald_monitor.recorder import BATCH, Recorder
from herald_monitor.recording import Message
from herald_monitor.store import Reader, Writer
from herald_monitor.tickets import Ticket
from herald_monitor.wire import Poison, RawEvent, sort_out

PAGE = 500


def shuffled(messages: Sequence[Message], seed: int) -> list[Message]:
    """Return each event as a message of its own, in an order that `seed` decides.

    Each keeps the time at which it was heard.
    """
    single = [
        Message(heard=message.heard, routing_key=message.routing_key, events=[event])
        for message in messages
        for event in message.events
    ]
    random.Random(seed).shuffle(single)
    return single


class Replay:
    """Messages told to a `writer`. `speed`: 1 as recorded, 0 without a pause."""

    def __init__(
        self, writer: Writer, redact: Callable[[str], str], speed: float = 0.0
    ) -> None:
        self._intake = Intake()
        self._recorder = Recorder(self._intake, writer, redact, "replay")
        self._speed = speed

    @property
    def counters(self) -> Counters:
        """How many events there were, and of what kind."""
        return self._recorder.interpreter.counters

    @property
    def samples(self) -> list[str]:
        """The latest events that were set aside, and why."""
        return list(self._recorder.interpreter.samples)

    async def run(self, messages: Iterable[Message]) -> None:
        """Tell all `messages`; return when they are stored."""
        began, first = time.monotonic(), None
        for message in messages:
            if self._speed:
                first = message.heard if first is None else first
                due = began + (message.heard - first) / self._speed
                if due > time.monotonic():
                    await self._recorder.drain()
                    await asyncio.sleep(due - time.monotonic())
            self._take(message)
            if self._intake.waiting >= BATCH:
                await self._recorder.drain()
        await self._recorder.drain()

    def _take(self, message: Message) -> None:
        if message.unread:
            self._recorder.interpreter.set_aside(
                message.unread.encode(), "It was not readable."
            )
        poison: Poison = self._recorder.interpreter.set_aside
        events: list[RawEvent] = sort_out(message.events, poison)
        if events:
            self._intake.put(events, message.heard, Ticket())


async def tasks_of(reader: Reader) -> list[TaskImage]:
    """Return all tasks of a store, the one that was heard of first in front."""
    found: list[TaskImage] = []
    page: str | None = None
    while True:
        told = await reader.page(Filter(), limit=PAGE, page=page)
        found += told.tasks
        page = told.next
        if page is None:
            return found[::-1]
