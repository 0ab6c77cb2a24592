"""Many tasks in a real server, and more all the time."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from herald_core.model.events.event import Event
from herald_core.model.tasks.views import to_rfc3339
from tests.support.herald.memory_server import LiveServer
from tests.support.store.heartbeat import PERIOD_S, beat

NAMES = [f"shop.{area}.{what}" for area in ("mail", "orders") for what in "abcde"]
BATCH = 1_000


def lives(count: int, first: float, every: float) -> Iterator[list[Event]]:
    """Yield batches of events: `count` tasks that were received one after another,
    from `first` (unix seconds) on, and succeeded."""
    batch: list[Event] = []
    for k in range(count):
        at = first + k * every
        common: dict[str, Any] = {"task_id": f"t{k:06}", "host": "mail@w1", "pid": 7}
        name = NAMES[k % len(NAMES)]
        for step, kind in enumerate(("received", "started", "succeeded")):
            told: dict[str, Any] = {"name": name} if step == 0 else {}
            told |= {"runtime": 0.25} if step == 2 else {}
            when = at + step * 0.01
            batch.append(
                Event(kind=kind, at=when, clock=3 * k + step, **common, **told)
            )
        if len(batch) >= BATCH:
            yield batch
            batch = []
    yield batch


def fill(server: LiveServer, count: int, every: float = 0.1) -> None:
    """Store `count` tasks that have succeeded, the last of them a moment ago."""
    now = time.time()
    for batch in lives(count, now - count * every - 60, every):
        server.do(server.store.store(batch, now=now))


class Repeated(threading.Thread):
    """Does something again and again, until it is stopped."""

    def __init__(self, every: float, job: Callable[[], None]) -> None:
        super().__init__(daemon=True)
        self._every, self._job = every, job
        self._over = threading.Event()
        self.start()

    def run(self) -> None:
        while not self._over.wait(self._every):
            self._job()

    def stop(self) -> None:
        """End, and wait for it."""
        self._over.set()
        self.join(30)


def pulse(server: LiveServer) -> Repeated:
    """Let a monitor live: without one, what a server shows is stale."""

    def beat_once() -> None:
        server.do(beat(server.store, last_event_at=to_rfc3339(time.time())))

    beat_once()
    return Repeated(PERIOD_S, beat_once)


class Rush:
    """New tasks without an end: so many a second, each of them one change."""

    STEP = 0.05

    def __init__(self, server: LiveServer, rate: int) -> None:
        self._server = server
        self._wanted = rate
        self._begun = time.time()
        self.told = 0
        self._thread = Repeated(self.STEP, self._tell)

    @property
    def rate(self) -> float:
        """Changes a second, so far."""
        return self.told / (time.time() - self._begun)

    def _tell(self) -> None:
        now = time.time()
        # By the clock, and not so many a step: a step takes time as well.
        due = round((now - self._begun) * self._wanted) - self.told
        for batch in lives(min(due, self._wanted), now, 0.0):
            fresh = [_renamed(event, self.told) for event in batch]
            self._server.do(self._server.store.store(fresh, now=now))
        self.told += max(min(due, self._wanted), 0)

    def stop(self) -> None:
        """End, and wait for it."""
        self._thread.stop()


def _renamed(event: Event, first: int) -> Event:
    number = first + int(event.task_id[1:])
    return msgspec.structs.replace(event, task_id=f"n{number:07}")
