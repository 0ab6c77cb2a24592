"""What was heard, read: raw events in, what they tell of tasks and workers out.

Counts what it reads, and keeps samples of what it cannot.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import msgspec

from herald_monitor.errors import BadEvent
from herald_monitor.intake import Heard, Taken
from herald_monitor.model.events import Event, parse, shorten
from herald_monitor.model.spoken import Spoken, settle
from herald_monitor.model.worker_words import parse_worker
from herald_monitor.model.workers import Worker
from herald_monitor.unread import Told, Unread, addressed, read_whole
from herald_monitor.wire import RawEvent, shown

log = logging.getLogger(__name__)

MAX_SAMPLES = 5
SAMPLE = 200
"""Characters kept of an event that could not be read."""


class Counters(msgspec.Struct):
    """What happened since the monitor started. Lag is in seconds.

    `backend_events` are results that were stored, `asked_events` what workers
    answered and what was inferred; `events` are those of the broker.
    """

    events: int = 0
    task_events: int = 0
    worker_events: int = 0
    other_events: int = 0
    backend_events: int = 0
    asked_events: int = 0
    changes: int = 0
    batches: int = 0
    retries: int = 0
    poison: int = 0
    lag: float = 0.0
    last_event_at: float | None = None


class Read(NamedTuple):
    """What was taken, and what it tells."""

    taken: Taken
    events: list[Told]
    workers: list[Worker]


class Listener(Protocol):
    """Someone who hears all that is recorded, as it was heard here."""

    def hear(self, event: Told) -> None:
        """Hear what was said of a task."""
        ...

    def hear_worker(self, worker: Worker, heard: float) -> None:
        """Hear what a worker said of itself, at `heard` (unix seconds)."""
        ...


class Interpreter:
    """Reads what was taken; a `listener` hears it on the way.

    `redact` is applied to every free text.
    """

    def __init__(self, redact: Callable[[str], str]) -> None:
        self._redact = redact
        self.listener: Listener | None = None
        self.admits: Callable[[str, float], bool] = _everybody
        """Says whether what a hostname said of itself, when it was heard, is taken."""
        self.counters = Counters()
        self.samples: deque[str] = deque(maxlen=MAX_SAMPLES)

    def read(self, taken: Taken) -> Read:
        """Return what it tells; what cannot be read is set aside."""
        read = Read(taken, [], [])
        for batch, heard in taken.batches:
            self._read_batch(batch, heard, read.events, read.workers)
        return read

    def opened(self, told: Sequence[Told]) -> list[Event]:
        """Return `told` with all of it read; what cannot be is set aside."""
        events: list[Event] = []
        for event in told:
            if isinstance(event, Event):
                events.append(event)
            elif event.json:
                try:
                    events.append(read_whole(event, self._redact))
                except Exception as error:  # whatever it holds, it stops no other
                    # Emptied: it is counted once, however often it is stored.
                    body, event.json = bytes(event.json), b""
                    if isinstance(error, BadEvent):
                        self.set_aside(body, str(error))
                    else:
                        self._unreadable(error)
        return events

    def set_aside(self, body: bytes, reason: str) -> None:
        """Count something that cannot be read, and keep a sample of it."""
        self.counters.poison += 1
        text = body[:SAMPLE].decode("utf-8", "replace")
        short = shorten(reason, SAMPLE)
        self.samples.append(self._redact(f"{short} {text}" if text else short))
        log.warning("Set an event aside: %s", self._redact(short))

    def _read_batch(
        self,
        batch: Sequence[Heard],
        heard: float,
        events: list[Told],
        workers: list[Worker],
    ) -> None:
        spoken = told = 0
        hear = self.listener.hear if self.listener is not None else None
        for event in batch:
            if type(event) is Unread:
                spoken += 1
                told += 1
                events.append(addressed(event, heard))
                if hear is not None:
                    hear(event)
            elif type(event) is Spoken:
                spoken += 1
                # What was decoded the short way. A call for each would take longer.
                try:
                    events.append(settle(event, heard, self._redact))
                except Exception as error:  # whatever it holds, it stops no other
                    self._unreadable(error)
                    continue
                told += 1
                if hear is not None:
                    hear(event)
            elif isinstance(event, dict):
                self.counters.events += 1
                self._read_raw(event, heard, events, workers)
            else:
                assert isinstance(event, Event)
                self._count(event)
                events.append(event)
        self.counters.events += spoken
        self.counters.task_events += told
        if spoken or not all([isinstance(event, Event) for event in batch]):
            self.counters.last_event_at = heard

    def _count(self, event: Event) -> None:
        if event.source == "backend":
            self.counters.backend_events += 1
        else:
            self.counters.asked_events += 1

    def _read_raw(
        self, raw: RawEvent, heard: float, events: list[Told], workers: list[Worker]
    ) -> None:
        counters = self.counters
        try:
            event = parse(raw, heard, self._redact)
            worker = parse_worker(raw, heard) if event is None else None
        except BadEvent as error:
            self.set_aside(shown(raw).encode("utf-8", "replace"), str(error))
        except Exception as error:  # whatever an event holds, it stops no other
            self._unreadable(error)
        else:
            if event is not None:
                counters.task_events += 1
                events.append(event)
                if self.listener is not None:
                    self.listener.hear(event)
            elif worker is not None:
                counters.worker_events += 1
                if not self.admits(worker.hostname, heard):
                    return
                workers.append(worker)
                if self.listener is not None:
                    self.listener.hear_worker(worker, heard)
            else:
                counters.other_events += 1

    def _unreadable(self, error: Exception) -> None:
        log.error("An event could not be read", exc_info=error)
        self.set_aside(b"", f"{type(error).__name__} while reading an event")


def _everybody(_hostname: str, _heard: float) -> bool:
    return True
