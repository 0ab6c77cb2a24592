"""One hearer of events, alone in a process: `python -m tests.bench.peers KIND URL N`.

Hears N task events and prints how long that took and what CPU, as JSON. Kinds:
`noop` (Celery's EventReceiver, doing nothing), `state` (with Celery's in-memory
State), `receiver` (Herald's receiver, which hands over and forgets).
"""

import contextlib
import json
import resource
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, cast

from celery import Celery
from celery.events import EventReceiver

from herald_core.model.events.event_fast import DecodedEvent
from herald_monitor.ingest.consumers.acks import Ack
from herald_monitor.ingest.consumers.event_header import WireEvent
from herald_monitor.ingest.receiver import Receiver

SILENCE = 15.0
"""Seconds without an event after which the rest is lost."""


def app_of(url: str) -> Celery:
    """Return an app with the broker at `url`."""
    return Celery(broker=url, set_as_current=False)


class Tally:
    """Events counted, and what they cost from the first on."""

    def __init__(self, most: int) -> None:
        self.heard = 0
        self._most = most
        self._begin = self._end = (0.0, 0.0)
        self._last = time.monotonic()
        self.full = threading.Event()

    def add(self, number: int) -> None:
        """Count `number` events more."""
        if not self.heard:
            self._begin = _now()
        self.heard += number
        self._last = time.monotonic()
        if self.heard >= self._most and not self.full.is_set():
            self._end = _now()
            self.full.set()

    @property
    def silent(self) -> bool:
        """Whether nothing comes any more."""
        return time.monotonic() - self._last > SILENCE

    def told(self) -> dict[str, float]:
        """Return events, seconds and CPU seconds."""
        end = self._end if self.full.is_set() else _now()
        wall, cpu = (b - a for a, b in zip(self._begin, end, strict=True))
        return {"events": self.heard, "seconds": wall, "cpu": cpu}


def _now() -> tuple[float, float]:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return time.perf_counter(), used.ru_utime + used.ru_stime


def celery_receiver(url: str, tally: Tally, each: Callable[[Any], None]) -> None:
    """Hear with Celery's own receiver."""
    app = app_of(url)

    def heard(event: dict[str, object]) -> None:
        each(event)
        tally.add(1)

    with cast(Any, app).connection_for_read() as connection:
        hears = cast(Any, EventReceiver)(connection, handlers={"*": heard}, app=app)
        with hears.consumer_context(wakeup=False) as (line, *_):
            # kombu subscribes on Redis with the first read.
            _drain(line, 0.5)
            print("ready", flush=True)
            while not tally.full.is_set() and not tally.silent:
                _drain(line, 1.0)


def _drain(connection: Any, wait: float) -> None:
    with contextlib.suppress(TimeoutError):
        connection.drain_events(timeout=wait)


def herald_receiver(url: str, tally: Tally) -> None:
    """Hear with Herald's receiver."""

    def deliver(batch: list[WireEvent], heard: float, ticket: Ack) -> None:
        ticket.confirm()
        # What is read the long way is of workers here.
        found = sum([type(event) is DecodedEvent for event in batch])
        if found:
            tally.add(found)

    hears = Receiver(
        app_of(url),
        deliver=deliver,
        lost_touch=lambda since, until, reason: None,
        poison=lambda body, reason: None,
    )
    thread = threading.Thread(target=hears.run)
    thread.start()
    while not hears.connected:
        time.sleep(0.01)
    print("ready", flush=True)
    while not tally.full.wait(1.0) and not tally.silent:
        pass
    hears.stop()
    thread.join()


def main() -> None:
    """Hear, and print what it cost."""
    kind, url, number = sys.argv[1], sys.argv[2], int(sys.argv[3])
    tally = Tally(number)
    if kind == "receiver":
        herald_receiver(url, tally)
    elif kind == "state":
        state = app_of(url).events.State()
        celery_receiver(url, tally, state.event)
    else:
        celery_receiver(url, tally, lambda event: None)
    print(json.dumps(tally.told()), flush=True)


if __name__ == "__main__":
    main()
