"""The parser: raw events in, events of tasks and reports of workers out.

It counts valid events, and stores samples of invalid ones.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import msgspec

from herald_core.errors import InvalidEvent
from herald_core.model.events.event import Event, parse_event, safe_repr, shorten
from herald_core.model.events.event_fast import DecodedEvent, normalize
from herald_core.model.workers.worker_record import Worker
from herald_core.model.workers.worker_reports import parse_worker
from herald_monitor.ingest.buffer import Batch, ReceivedEvents
from herald_monitor.ingest.consumers.envelope import RawEvent
from herald_monitor.ingest.consumers.event_header import (
    EventHeader,
    TaskEvent,
    decode_full,
    stamp_header,
)

log = logging.getLogger(__name__)

MAX_SAMPLES = 5
MAX_SAMPLE_CHARS = 200
"""Characters stored of an invalid event."""


class Counters(msgspec.Struct):
    """The counters since the monitor started. Lag is in seconds.

    `backend_events` are stored results, `asked_events` answers of workers and
    conclusions; `events` are those of the broker.
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


class ParsedBatch(NamedTuple):
    """Events of one batch, parsed."""

    batch: Batch
    events: list[TaskEvent]
    workers: list[Worker]


class EventListener(Protocol):
    """A listener for all recorded events, in order of arrival."""

    def on_task_event(self, event: TaskEvent) -> None:
        """Receive an event of a task, unless it came by the outbox."""
        ...

    def on_worker_event(self, worker: Worker, heard: float) -> None:
        """Receive an event of a worker, which arrived at `heard` (unix seconds)."""
        ...


class EventParser:
    """The parser of received events; it passes them to a `listener`.

    `redact` is applied to every free text.
    """

    def __init__(self, redact: Callable[[str], str]) -> None:
        self._redact = redact
        self.listener: EventListener | None = None
        self.admits: Callable[[str, float], bool] = _accept_all
        """Returns True if an event of a hostname, with its time of arrival, is
        accepted."""
        self.counters = Counters()
        self.samples: deque[str] = deque(maxlen=MAX_SAMPLES)

    def parse(self, taken: Batch) -> ParsedBatch:
        """Return the parsed events; invalid ones are quarantined."""
        read = ParsedBatch(taken, [], [])
        for received in taken.batches:
            self._parse_batch(received, read.events, read.workers)
        return read

    def decode_all(self, told: Sequence[TaskEvent]) -> list[Event]:
        """Return `told` with all events decoded; invalid ones are quarantined."""
        events: list[Event] = []
        for event in told:
            if isinstance(event, Event):
                events.append(event)
            elif event.json:
                try:
                    events.append(decode_full(event, self._redact))
                except Exception as error:  # whatever it holds, it stops no other
                    # Emptied: it is counted once, however often it is stored.
                    body, event.json = bytes(event.json), b""
                    if isinstance(error, InvalidEvent):
                        self.quarantine(body, str(error))
                    else:
                        self._reject(error)
        return events

    def quarantine(self, body: bytes, reason: str) -> None:
        """Count an invalid message, and store a sample of it."""
        self.counters.poison += 1
        text = body[:MAX_SAMPLE_CHARS].decode("utf-8", "replace")
        short = shorten(reason, MAX_SAMPLE_CHARS)
        self.samples.append(self._redact(f"{short} {text}" if text else short))
        log.warning("Set an event aside: %s", self._redact(short))

    def _parse_batch(
        self,
        received: ReceivedEvents,
        events: list[TaskEvent],
        workers: list[Worker],
    ) -> None:
        batch, heard, from_outbox = received
        spoken = told = 0
        hear = self.listener.on_task_event if self.listener is not None else None
        if from_outbox:
            hear = None
        for event in batch:
            if type(event) is EventHeader:
                spoken += 1
                told += 1
                events.append(stamp_header(event, heard))
                if hear is not None:
                    hear(event)
            elif type(event) is DecodedEvent:
                spoken += 1
                # An event of the fast path. A function call for each would take longer.
                try:
                    events.append(normalize(event, heard, self._redact))
                except Exception as error:  # whatever it holds, it stops no other
                    self._reject(error)
                    continue
                told += 1
                if hear is not None:
                    hear(event)
            elif isinstance(event, dict):
                self.counters.events += 1
                self._parse_raw(event, heard, events, workers, hear)
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

    def _parse_raw(
        self,
        raw: RawEvent,
        heard: float,
        events: list[TaskEvent],
        workers: list[Worker],
        hear: Callable[[TaskEvent], None] | None,
    ) -> None:
        counters = self.counters
        try:
            event = parse_event(raw, heard, self._redact)
            worker = parse_worker(raw, heard) if event is None else None
        except InvalidEvent as error:
            self.quarantine(safe_repr(raw).encode("utf-8", "replace"), str(error))
        except Exception as error:  # whatever an event holds, it stops no other
            self._reject(error)
        else:
            if event is not None:
                counters.task_events += 1
                events.append(event)
                if hear is not None:
                    hear(event)
            elif worker is not None:
                counters.worker_events += 1
                if not self.admits(worker.hostname, heard):
                    return
                workers.append(worker)
                if self.listener is not None:
                    self.listener.on_worker_event(worker, heard)
            else:
                counters.other_events += 1

    def _reject(self, error: Exception) -> None:
        log.error("An event could not be read", exc_info=error)
        self.quarantine(b"", f"{type(error).__name__} while reading an event")


def _accept_all(_hostname: str, _heard: float) -> bool:
    return True
