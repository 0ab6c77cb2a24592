"""A receiver on a thread, and what it heard, for tests."""

import contextlib
import threading
from collections.abc import Generator
from typing import cast

from celery import Celery

from herald_monitor.ingest.consumers.acks import Ack
from herald_monitor.ingest.consumers.durable_queue import DurableQueue
from herald_monitor.ingest.consumers.envelope import RawEvent
from herald_monitor.ingest.consumers.event_header import WireEvent
from herald_monitor.ingest.receiver import Receiver
from tests.support.wait import TIMEOUT_S, wait_until


class Heard:
    """A running receiver with everything that it told."""

    def __init__(
        self, app: Celery, *, probe_every: float = 5.0, kept: DurableQueue | None = None
    ) -> None:
        self.fail_next = False
        self.confirms = True
        self.tickets: list[Ack] = []
        self.routing_keys: list[str] = []
        self.batches: list[list[RawEvent]] = []
        self.times: list[float] = []
        self.gaps: list[tuple[float, float, str]] = []
        self.poison: list[tuple[bytes, str]] = []
        self.receiver = Receiver(
            app,
            deliver=self._deliver,
            lost_touch=lambda since, until, why: self.gaps.append((since, until, why)),
            poison=lambda body, reason: self.poison.append((body, reason)),
            probe_every=probe_every,
            kept=kept,
            tap=lambda _, key: self.routing_keys.append(key),
        )
        self.thread = threading.Thread(target=self.receiver.run)

    @property
    def events(self) -> list[RawEvent]:
        """All events, in order."""
        return [event for batch in self.batches for event in batch]

    def types_of(self, task_id: str) -> list[str]:
        """Name the kinds of events heard of one task, in order."""
        return [str(e["type"]) for e in self.events if e.get("uuid") == task_id]

    def wait_connected(self, timeout: float = TIMEOUT_S) -> None:
        """Wait until the subscription stands."""
        wait_until(lambda: self.receiver.connected, timeout, "connected")

    def _deliver(self, batch: list[WireEvent], heard: float, ticket: Ack) -> None:
        if self.fail_next:
            self.fail_next = False
            raise RuntimeError("told to fail")
        # With a tap on the line, all are as they travelled.
        self.batches.append(cast(list[RawEvent], batch))
        self.times.append(heard)
        self.tickets.append(ticket)
        if self.confirms:
            ticket.confirm()


@contextlib.contextmanager
def hearing(
    app: Celery,
    *,
    probe_every: float = 5.0,
    kept: DurableQueue | None = None,
    connected: bool = True,
    confirms: bool = True,
) -> Generator[Heard, None, None]:
    """Run a receiver for the length of the block, by default once connected."""
    heard = Heard(app, probe_every=probe_every, kept=kept)
    heard.confirms = confirms
    heard.thread.start()
    try:
        if connected:
            heard.wait_connected()
        yield heard
    finally:
        heard.receiver.stop()
        heard.thread.join(30)
        assert not heard.thread.is_alive(), "the receiver did not stop"
