"""Answers of workers about their tasks, as events. Pure.

Answers are untrusted: invalid values are dropped and counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import cast

import msgspec

from herald_core.model.events.delayed_delivery import strip_delay
from herald_core.model.events.event import (
    MAX_NAME,
    MAX_SMALL,
    MAX_TEXT,
    Event,
    clamp_time,
    is_id,
    shorten,
    to_bounded_int,
    to_finite,
)
from herald_monitor.celery_client.workers.active_queues import ConsumedQueue

Redact = Callable[[str], str]

ACTIVE = "active"
RESERVED = "reserved"
SCHEDULED = "scheduled"
QUEUES = "active_queues"
STATS = "stats"
KINDS = {ACTIVE: "started", RESERVED: "received", SCHEDULED: "received"}

MAX_TASKS = 50_000
"""Tasks of one worker's answer that are looked at."""


class InspectReplies(msgspec.Struct, frozen=True):
    """The answers of workers: the tasks and queues of each.

    `answered` names those of which every running process has answered.
    `partial_answers` counts the processes that answered, even if others of a name did
    not. `receivers` counts those that received the query, if the broker returns it.
    """

    answered: frozenset[str] = frozenset()
    events: list[Event] = []
    consumed: Mapping[str, tuple[ConsumedQueue, ...]] = {}
    """By worker, the queues that it consumes."""
    rejected: int = 0
    confirmed: Mapping[str, Mapping[str, bool]] = {}
    """By worker, which of what it runs has a message that the broker may forget."""
    partial_answers: Mapping[str, int] = {}
    receivers: int | None = None

    @property
    def queue_names(self) -> frozenset[str]:
        """The names of all consumed queues."""
        return frozenset(q.name for queues in self.consumed.values() for q in queues)

    @property
    def held_ids(self) -> frozenset[str]:
        """The ids of the tasks that some worker has."""
        return frozenset(event.task_id for event in self.events)


class ConsumedQueues(msgspec.Struct, frozen=True):
    """The queues of all workers that answered, and the process count of each worker.

    `unanswered` counts the processes that received the query and did not answer; None
    if the broker does not return it.
    """

    queues: Mapping[str, tuple[ConsumedQueue, ...]] = {}
    processes: Mapping[str, int] = {}
    unanswered: int | None = None


class WorkerDescription(msgspec.Struct, frozen=True):
    """The merged `stats` of the processes of one name.

    `slots` is the number of tasks they can run at a time, `pool` the kind of pool
    ("solo", "gevent").
    """

    processes: int
    slots: int | None = None
    pool: str | None = None


def describe(answers: Sequence[object]) -> WorkerDescription:
    """Return the merged `stats` of one or more processes.

    Every pool of Celery's describes itself (celery/concurrency/base.py: _get_info).
    """
    pools = [_get_item(answer, "pool") for answer in answers]
    slots = [
        to_bounded_int(_get_item(pool, "max-concurrency"), MAX_SMALL) for pool in pools
    ]
    known = [number for number in slots if number is not None]
    kinds = {_get_pool_kind(_get_item(pool, "implementation")) for pool in pools} - {
        None
    }
    return WorkerDescription(
        processes=len(answers),
        slots=sum(known) if known else None,
        pool=next(iter(kinds)) if len(kinds) == 1 else None,
    )


def _get_pool_kind(implementation: object) -> str | None:
    """Return `solo` of `celery.concurrency.solo:TaskPool`."""
    name = _read_name(implementation)
    return name.partition(":")[0].rpartition(".")[2] or None if name else None


def _get_item(answer: object, key: str) -> object:
    return (
        cast(Mapping[str, object], answer).get(key)
        if isinstance(answer, dict)
        else None
    )


def read_answers(
    command: str,
    hostname: str,
    answer: object,
    received_at: float,
    redact: Redact = str,
) -> tuple[list[Event], int]:
    """Return the tasks in the `answer` of `hostname`, and the count of invalid ones."""
    if not isinstance(answer, list):
        return [], 1
    events: list[Event] = []
    poison = 0
    for one in cast(list[object], answer)[:MAX_TASKS]:
        event = _read_event(command, hostname, one, received_at, redact)
        if event is None:
            poison += 1
        else:
            events.append(event)
    return events, poison


def _read_event(
    command: str, hostname: str, one: object, received_at: float, redact: Redact
) -> Event | None:
    request = _to_mapping(one)
    if request is not None and command == SCHEDULED:
        request = _to_mapping(request.get("request"))
    task_id = request.get("id") if request is not None else None
    if request is None or not is_id(task_id):
        return None
    kind = KINDS[command]
    info = _to_mapping(request.get("delivery_info")) or {}
    begun = to_finite(request.get("time_start")) if kind == "started" else None
    # A waiting task carries its real arguments, even if `argsrepr` hides them.
    shown = command == ACTIVE
    return Event(
        kind=kind,
        task_id=task_id,
        at=received_at,
        source="inspect",
        host=shorten(hostname, MAX_NAME),
        pid=to_bounded_int(request.get("worker_pid"), MAX_SMALL) or 0,
        name=_read_name(request.get("name")) or _read_name(request.get("type")),
        routing_key=_read_routing_key(info.get("routing_key")),
        priority=to_bounded_int(info.get("priority"), MAX_SMALL),
        worker_time=None if begun is None else clamp_time(begun, received_at),
        args=_read_arguments(request.get("args"), redact) if shown else None,
        kwargs=_read_arguments(request.get("kwargs"), redact) if shown else None,
    )


def _read_arguments(value: object, redact: Redact) -> str | None:
    """Return arguments as their sender wanted them to be shown."""
    if not isinstance(value, str) or not value:
        return None
    return redact(shorten(value, MAX_TEXT))


def read_confirmed(answer: object) -> dict[str, bool]:
    """Return for each task that a worker runs whether its message is confirmed."""
    if not isinstance(answer, list):
        return {}
    requests = (
        _to_mapping(one) or {} for one in cast(list[object], answer)[:MAX_TASKS]
    )
    pairs = ((one.get("id"), one.get("acknowledged")) for one in requests)
    return {i: done for i, done in pairs if is_id(i) and isinstance(done, bool)}


def suppresses_events(answer: object) -> bool:
    """Return True if a worker has tasks that send no events, by `registered`."""
    return isinstance(answer, list) and any(
        isinstance(one, str) and "send_events=False" in one
        for one in cast(list[object], answer)
    )


class RegisteredTasks(msgspec.Struct, frozen=True):
    """A worker's registered tasks that ignore their result, and those with a rate
    limit.
    """

    resultless: frozenset[str] = frozenset()
    limited: frozenset[str] = frozenset()


def read_registered(answers: Sequence[object]) -> RegisteredTasks:
    """Return the tasks of `registered`: `NAME [ignore_result=True rate_limit=9/m]`."""
    lists = [cast("list[object]", one) for one in answers if isinstance(one, list)]
    names = [one for answer in lists for one in answer if isinstance(one, str)]
    pairs = [(name, f" {more}") for name, _, more in (t.partition(" [") for t in names)]
    return RegisteredTasks(
        frozenset(name for name, more in pairs if " ignore_result=True" in more),
        frozenset(name for name, more in pairs if " rate_limit=" in more),
    )


def iter_replies(reply: object) -> Iterator[tuple[str, object]]:
    """Yield hostname and answer of each reply of a broadcast."""
    if not isinstance(reply, Mapping):
        return
    for hostname, answer in cast(Mapping[object, object], reply).items():
        if isinstance(hostname, str) and hostname:
            yield hostname, answer


def _to_mapping(value: object) -> Mapping[str, object] | None:
    return cast(Mapping[str, object], value) if isinstance(value, Mapping) else None


def _read_routing_key(value: object) -> str | None:
    """Return a routing key as it was before the delay, if there was one."""
    return strip_delay(name) if (name := _read_name(value)) else None


def _read_name(value: object) -> str | None:
    return shorten(value, MAX_NAME) if isinstance(value, str) and value else None
