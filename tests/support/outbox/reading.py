"""A reader of the outbox alone, and all that it found, for tests."""

import contextlib
import threading
from collections.abc import Callable, Generator, Sequence
from typing import Any, cast

import redis
from celery import Celery

from herald_monitor.ingest.consumers.acks import Ack
from herald_monitor.ingest.consumers.event_header import WireEvent
from herald_monitor.ingest.outbox.losses import OutboxLoss
from herald_monitor.ingest.outbox.options import OutboxOptions
from herald_monitor.ingest.outbox.outbox_reader import OutboxReader
from herald_worker.outbox.stream_format import DEFAULT_GROUP, DEFAULT_STREAM
from tests.support.wait import TIMEOUT_S, wait_until


class Reading:
    """A reader that runs, and what it delivered. `stores` confirms at once."""

    def __init__(
        self, app: Celery, options: OutboxOptions, node: str, stores: bool
    ) -> None:
        self.stores = stores
        self.batches: list[tuple[Sequence[WireEvent], float]] = []
        self.acks: list[Ack] = []
        self.losses: list[OutboxLoss] = []
        self.invalid: list[str] = []
        self._lock = threading.Lock()
        self.reader = OutboxReader(
            app,
            options,
            node,
            deliver=self._deliver,
            on_loss=self.losses.append,
            on_invalid=lambda _body, reason: self.invalid.append(reason),
        )

    def _deliver(self, events: Sequence[WireEvent], heard: float, ack: Ack) -> None:
        with self._lock:
            self.batches.append((events, heard))
            self.acks.append(ack)
            if self.stores:
                ack.confirm()

    def store_all(self) -> None:
        """Confirm all that was delivered, and from now on at once."""
        with self._lock:
            self.stores = True
            for ack in self.acks:
                ack.confirm()

    @property
    def ids(self) -> list[str]:
        """The tasks of all delivered events, in their order."""
        return [
            str(one["uuid"] if isinstance(one, dict) else one.task_id)
            for events, _ in list(self.batches)
            for one in events
            if not isinstance(one, dict) or "uuid" in one
        ]

    def has(self, ids: Sequence[str], timeout: float = TIMEOUT_S) -> None:
        """Wait until these tasks were delivered, in this order, and nothing else."""
        wait_until(lambda: self.ids, timeout, f"{ids}", accept=list(ids).__eq__)

    def reports(self, number: int = 1) -> list[OutboxLoss]:
        """Wait until so many losses were reported."""
        found = wait_until(lambda: list(self.losses), accept=lambda f: len(f) >= number)
        assert len(found) == number, found
        return found


@contextlib.contextmanager
def reading(
    app: Celery,
    node: str = "m1",
    *,
    stores: bool = True,
    expects_history: bool = True,
    **options: Any,
) -> Generator[Reading, None, None]:
    """Run a reader for the length of the block, from when it is connected."""
    here = Reading(app, OutboxOptions(**options), node, stores)
    here.reader.start(expects_history=expects_history)
    try:
        wait_until(lambda: here.reader.connected, message="connected")
        yield here
    finally:
        here.reader.stop(5.0)


def find_pending(
    client: "redis.Redis", stream: str = DEFAULT_STREAM, group: str = DEFAULT_GROUP
) -> int:
    """Return how many entries are read and not acknowledged."""
    return int(cast(Any, client).xpending(stream, group)["pending"])


def wait_acknowledged(client: "redis.Redis", stream: str = DEFAULT_STREAM) -> None:
    """Wait until nothing is pending."""
    wait_until(lambda: find_pending(client, stream) == 0, message="all acknowledged")


def count_matching(found: Sequence[OutboxLoss], has: Callable[[str], bool]) -> int:
    """Return how many losses have such a reason."""
    return sum(has(one.reason) for one in found)
