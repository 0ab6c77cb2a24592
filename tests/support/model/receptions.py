"""How the events of an installation reach a store: twice, late, in parts, or never.

One event may arrive by the fanout and by the stream, at two times. A stream that is
read late brings old events, with the time at which they arrived in it. Answers of the
result backend and of workers come between.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

import msgspec

from herald_core.model.events.event import Event
from herald_core.model.tasks.projection import project
from herald_core.model.tasks.task import Task
from herald_core.model.tasks.views import TaskView
from herald_core.store.mutations import make_event_mutations
from herald_core.store.records import StoredRecord
from tests.support.model.events import NAMES_ITS_ATTEMPT, T0, found

DELAYS_S = (0.0,) * 20 + (0.003, 0.05, 1.0, 30.0, 100.0)
"""How much later than it arrives an event is read."""
SECOND_WAYS_S = (-0.004, 0.004, 0.4, 5.0, 60.0)
"""How much later than by one way an event arrives by the other."""
ENDS = ("succeeded", "failed", "revoked")

Arrival = tuple[float, Event]
"""When an event is read, and the event."""


def receive(
    events: Sequence[Event],
    draw: Random,
    *,
    twice: float = 0.0,
    late: bool = False,
    lost: float = 0.0,
    answers: bool = False,
) -> list[list[Event]]:
    """Return `events` in the batches in which they are stored.

    `twice` and `lost` are the parts of them that arrive by two ways, and not at all.
    """
    told: list[Arrival] = []
    for event in events:
        if draw.random() < lost:
            continue
        ways = [event]
        if draw.random() < twice:
            ways.append(move_arrival(event, draw.choice(SECOND_WAYS_S)))
        told += [
            (get_arrival(one) + (draw.choice(DELAYS_S) if late else 0.0), one)
            for one in ways
        ]
    if answers:
        told += ask_backend(events, draw)
        told += ask_workers(events, draw)
        told += ask_backend_about_retries(events, draw)
        told += ask_workers_about_retries(events, draw)
    told.sort(key=lambda arrival: arrival[0])
    return list(split([event for _, event in told], draw))


def split(events: Sequence[Event], draw: Random) -> Iterator[list[Event]]:
    """Yield `events` in batches of one to three."""
    at = 0
    while at < len(events):
        size = draw.randint(1, 3)
        yield list(events[at : at + size])
        at += size


def move_arrival(event: Event, by: float) -> Event:
    """Return `event` as it arrives by another way; not by both it names its attempt."""
    heard, said = get_arrival(event) + by, get_own_time(event)
    return msgspec.structs.replace(
        event,
        retries=event.retries if event.kind in NAMES_ITS_ATTEMPT else None,
        at=min(said, heard),
        arrived_at=heard,
        worker_time=said if said > heard else None,
    )


def get_arrival(event: Event) -> float:
    return event.at if event.arrived_at is None else event.arrived_at


def get_own_time(event: Event) -> float:
    return event.at if event.worker_time is None else event.worker_time


def ask_backend(events: Sequence[Event], draw: Random) -> Iterator[Arrival]:
    """Yield what the result backend says: about when its worker does, or later."""
    for event in events:
        if event.kind in ENDS and draw.random() < 0.5:
            heard = get_arrival(event) + draw.choice([-0.004, 0.001, 0.5, 60.0])
            stored = get_own_time(event) - 0.001
            is_extended = draw.random() < 0.3
            yield (
                heard,
                found(
                    event.kind,
                    min(stored, heard) - T0,
                    host=event.host if is_extended else "",
                    retries=event.retries if is_extended else None,
                    arrived_at=heard,
                    worker_time=stored if stored > heard else None,
                ),
            )


def ask_backend_about_retries(
    events: Sequence[Event], draw: Random
) -> Iterator[Arrival]:
    """Yield that the result backend stores RETRY: it names no time, nor the attempt."""
    for event in events:
        if event.kind == "retried" and draw.random() < 0.5:
            heard = get_arrival(event) + draw.choice([-0.004, 0.001, 0.5])
            yield heard, found("retried", heard - T0, arrived_at=heard)


def ask_workers_about_retries(
    events: Sequence[Event], draw: Random
) -> Iterator[Arrival]:
    """Yield what is found of a task that waits for its retry.

    Its worker's list is behind: it names the run that has ended. Or the worker is gone,
    and another one runs the next attempt though nobody said so.
    """
    for i, event in enumerate(events):
        if event.kind != "retried" or draw.random() < 0.3:
            continue
        ended = get_arrival(event)
        then = get_arrival(events[i + 1]) if i + 1 < len(events) else ended + 200.0
        heard = ended + draw.choice([0.001, 0.4])
        yield heard, found("started", heard - T0, "inspect", host=event.host, pid=77)
        if (wait := then - ended) > 1.0:
            gone, found_at = ended + 0.5 * wait, ended + 0.8 * wait
            lost = found("lost", gone - T0, "inferred", host=event.host)
            again = found("started", found_at - T0, "inspect", host="d", pid=78)
            yield from ((gone, lost), (found_at, again))


def ask_workers(events: Sequence[Event], draw: Random) -> Iterator[Arrival]:
    """Yield what workers answer of a run, and that one whose worker ended is lost."""
    for i, event in enumerate(events[:-1]):
        now, then = get_arrival(event), get_arrival(events[i + 1])
        if event.kind != "started" or then - now < 1.0:
            continue
        if draw.random() < 0.5:
            heard = draw.uniform(now + 0.5, then)
            begun = min(get_own_time(event), heard)
            said = {"host": event.host, "pid": 77, "worker_time": begun}
            yield heard, found("started", heard - T0, "inspect", **said)
        if then - now > 60.0 and draw.random() < 0.5:
            lost = {"host": event.host, "flag": draw.random() < 0.5}
            yield now + 60.0, found("lost", now + 60.0 - T0, "inferred", **lost)


class Store:
    """A store of one task, and all views that its change log tells of it."""

    def __init__(self) -> None:
        self.known: StoredRecord | None = None
        self.views: list[TaskView] = []

    def take(self, batch: Sequence[Event]) -> None:
        for mutation in make_event_mutations(batch, T0).values():
            update = mutation(self.known)
            if update is None:
                continue
            assert isinstance(update.record, Task)
            assert isinstance(update.image, TaskView)
            assert project(update.record) == update.image
            self.known = update.to_record("1-1.0", 0)
            self.views.append(update.image)

    @property
    def task(self) -> Task:
        assert self.known is not None
        assert isinstance(self.known.record, Task)
        return self.known.record


def store(batches: Sequence[Sequence[Event]]) -> Store:
    """Return a store that took `batches` one after the other."""
    kept = Store()
    for batch in batches:
        kept.take(batch)
    return kept
