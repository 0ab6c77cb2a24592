"""What workers answer when they are asked what they have, read as events. Pure.

Answers come from strangers: whatever cannot be meant is left out and counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import cast

import msgspec

from herald_monitor.inspected_queues import ConsumedQueue
from herald_monitor.model.delayed import real_routing_key
from herald_monitor.model.events import (
    MAX_NAME,
    MAX_SMALL,
    MAX_TEXT,
    Event,
    is_id,
    moment,
    number,
    shorten,
    whole,
)

Redact = Callable[[str], str]

ACTIVE = "active"
RESERVED = "reserved"
SCHEDULED = "scheduled"
QUEUES = "active_queues"
STATS = "stats"
KINDS = {ACTIVE: "started", RESERVED: "received", SCHEDULED: "received"}

MOST = 50_000
"""Tasks of one worker's answer that are looked at."""


class Inspected(msgspec.Struct, frozen=True):
    """What workers said: who answered, what each of them has, and what it consumes.

    `answered` names those of which every process that is known to live has answered.
    `partly` counts the processes that answered, whatever became of the rest, and
    `receivers` those that got the question, where the broker tells.
    """

    answered: frozenset[str] = frozenset()
    events: list[Event] = []
    consumed: Mapping[str, tuple[ConsumedQueue, ...]] = {}
    """By worker, the queues that it consumes."""
    poison: int = 0
    confirmed: Mapping[str, Mapping[str, bool]] = {}
    """By worker, which of what it runs has a message that the broker may forget."""
    partly: Mapping[str, int] = {}
    consumes: Mapping[str, frozenset[str]] = {}
    """By worker, the queues that it takes from."""
    receivers: int | None = None

    @property
    def queues(self) -> frozenset[str]:
        """The names of the queues that anybody consumes."""
        return frozenset(q.name for told in self.consumed.values() for q in told)

    @property
    def held(self) -> frozenset[str]:
        """The ids of the tasks that some worker has."""
        return frozenset(event.task_id for event in self.events)


class Consumed(msgspec.Struct, frozen=True):
    """What all workers that answered consume, and how many processes each of them is.

    `unheard` counts the processes that got the question and did not answer; None
    where the broker does not tell.
    """

    queues: Mapping[str, tuple[ConsumedQueue, ...]] = {}
    processes: Mapping[str, int] = {}
    unheard: int | None = None


class Described(msgspec.Struct, frozen=True):
    """What the processes of one name are together, by their `stats`.

    `slots` is how many tasks they run at a time, `pool` how ("solo", "gevent").
    """

    processes: int
    slots: int | None = None
    pool: str | None = None


def describe(answers: Sequence[object]) -> Described:
    """Return what `stats` of one or more processes say together.

    Every pool of Celery's tells of itself (celery/concurrency/base.py: _get_info).
    """
    pools = [_of(answer, "pool") for answer in answers]
    slots = [whole(_of(pool, "max-concurrency"), MAX_SMALL) for pool in pools]
    known = [number for number in slots if number is not None]
    kinds = {_kind(_of(pool, "implementation")) for pool in pools} - {None}
    return Described(
        processes=len(answers),
        slots=sum(known) if known else None,
        pool=next(iter(kinds)) if len(kinds) == 1 else None,
    )


def _kind(implementation: object) -> str | None:
    """Return `solo` of `celery.concurrency.solo:TaskPool`."""
    name = _name(implementation)
    return name.partition(":")[0].rpartition(".")[2] or None if name else None


def _of(told: object, key: str) -> object:
    return cast(Mapping[str, object], told).get(key) if isinstance(told, dict) else None


def read_answers(
    command: str, hostname: str, answer: object, heard: float, redact: Redact = str
) -> tuple[list[Event], int]:
    """Return what `hostname` has by its `answer`, and how much could not be read."""
    if not isinstance(answer, list):
        return [], 1
    events: list[Event] = []
    poison = 0
    for one in cast(list[object], answer)[:MOST]:
        event = _read(command, hostname, one, heard, redact)
        if event is None:
            poison += 1
        else:
            events.append(event)
    return events, poison


def _read(
    command: str, hostname: str, one: object, heard: float, redact: Redact
) -> Event | None:
    request = _mapping(one)
    if request is not None and command == SCHEDULED:
        request = _mapping(request.get("request"))
    task_id = request.get("id") if request is not None else None
    if request is None or not is_id(task_id):
        return None
    kind = KINDS[command]
    info = _mapping(request.get("delivery_info")) or {}
    begun = number(request.get("time_start")) if kind == "started" else None
    # What waits tells its arguments as they are, even if `argsrepr` hides them.
    shown = command == ACTIVE
    return Event(
        kind=kind,
        task_id=task_id,
        at=heard,
        source="inspect",
        host=shorten(hostname, MAX_NAME),
        pid=whole(request.get("worker_pid"), MAX_SMALL) or 0,
        name=_name(request.get("name")) or _name(request.get("type")),
        routing_key=_routing_key(info.get("routing_key")),
        priority=whole(info.get("priority"), MAX_SMALL),
        said=None if begun is None else moment(begun, heard),
        args=_text(request.get("args"), redact) if shown else None,
        kwargs=_text(request.get("kwargs"), redact) if shown else None,
    )


def _text(told: object, redact: Redact) -> str | None:
    """Return arguments as their sender wanted them to be shown."""
    if not isinstance(told, str) or not told:
        return None
    return redact(shorten(told, MAX_TEXT))


def read_confirmed(answer: object) -> dict[str, bool]:
    """Return for each task that a worker runs whether its message is confirmed."""
    if not isinstance(answer, list):
        return {}
    told = (_mapping(one) or {} for one in cast(list[object], answer)[:MOST])
    pairs = ((one.get("id"), one.get("acknowledged")) for one in told)
    return {i: done for i, done in pairs if is_id(i) and isinstance(done, bool)}


def keeps_silent(answer: object) -> bool:
    """Say whether a worker has tasks that send no events, by `registered`."""
    return isinstance(answer, list) and any(
        isinstance(one, str) and "send_events=False" in one
        for one in cast(list[object], answer)
    )


class Known(msgspec.Struct, frozen=True):
    """The tasks that a worker knows which ignore their result, and which it limits."""

    resultless: frozenset[str] = frozenset()
    limited: frozenset[str] = frozenset()


def read_known(answers: Sequence[object]) -> Known:
    """Return what `registered` tells, as `NAME [ignore_result=True rate_limit=9/m]`."""
    lists = [cast("list[object]", one) for one in answers if isinstance(one, list)]
    told = [one for answer in lists for one in answer if isinstance(one, str)]
    pairs = [(name, f" {more}") for name, _, more in (t.partition(" [") for t in told)]
    return Known(
        frozenset(name for name, more in pairs if " ignore_result=True" in more),
        frozenset(name for name, more in pairs if " rate_limit=" in more),
    )


def replies(told: object) -> Iterator[tuple[str, object]]:
    """Yield hostname and answer of each reply of a broadcast."""
    if not isinstance(told, Mapping):
        return
    for hostname, answer in cast(Mapping[object, object], told).items():
        if isinstance(hostname, str) and hostname:
            yield hostname, answer


def _mapping(value: object) -> Mapping[str, object] | None:
    return cast(Mapping[str, object], value) if isinstance(value, Mapping) else None


def _routing_key(value: object) -> str | None:
    """Return a routing key as it was before the delay, if there was one."""
    return real_routing_key(name) if (name := _name(value)) else None


def _name(value: object) -> str | None:
    return shorten(value, MAX_NAME) if isinstance(value, str) and value else None
