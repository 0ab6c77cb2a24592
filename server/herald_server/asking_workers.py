"""What workers answer when they are asked about one task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from celery import Celery

from herald_monitor.consumers import broker_connection, let_go
from herald_monitor.inspected import QUEUES
from herald_monitor.inspected_queues import ConsumedQueue, read_consumed
from herald_monitor.model.shape import TaskImage
from herald_monitor.questions import Questions
from herald_server.stuck_facts import Asked

WITHIN = 1.0
"""Seconds that workers have for each of four questions."""

HOLDING = ("active", "reserved", "scheduled")
"""How a worker may have a task; "ready" is what it has done."""

RATES = {"taskinfoitems": ["rate_limit"]}


def ask(app: Celery, task: TaskImage, hosts: Sequence[str]) -> Asked:
    """Ask `hosts` (none: all) what they consume, know, have revoked and hold.

    Who does not answer the first question is not asked the others.
    """
    connection = broker_connection(app)
    try:
        questions = Questions(app, connection, WITHIN)
        consumed = _consumed(questions.ask(QUEUES, hosts).by_host)
        if not consumed:
            return Asked()
        names = sorted(consumed)
        return _read(
            task,
            consumed,
            revoked=questions.ask("revoked", names).by_host,
            known=questions.ask("registered", names, RATES).by_host,
            held=questions.ask("query_task", names, {"ids": [task.id]}).by_host,
        )
    finally:
        let_go(connection)


Answers = Mapping[str, Sequence[object]]
"""By hostname, what each process of that name answered."""


def _consumed(told: Answers) -> dict[str, list[ConsumedQueue]]:
    return {
        host: [queue for one in answers for queue in read_consumed(one)]
        for host, answers in told.items()
    }


def _read(
    task: TaskImage,
    consumed: Mapping[str, Sequence[ConsumedQueue]],
    *,
    revoked: Answers,
    known: Answers,
    held: Answers,
) -> Asked:
    key = task.routing_key
    return Asked(
        answered=frozenset(consumed),
        queues={h: frozenset(q.name for q in told) for h, told in consumed.items()},
        takers=frozenset(
            host
            for host, told in consumed.items()
            if key and any(queue.takes(key) for queue in told)
        ),
        revoked=frozenset(h for h, said in revoked.items() if task.id in _texts(said)),
        known={host: rates(_texts(said)) for host, said in known.items()},
        held={host: how for host, said in held.items() if (how := held_as(said))},
        searched=frozenset(h for h, said in held.items() if all(map(_is_told, said))),
    )


def _texts(answers: Sequence[object]) -> list[str]:
    """Return the texts in all answers of one name."""
    lists = [cast("list[object]", said) for said in answers if isinstance(said, list)]
    return [one for said in lists for one in said if isinstance(one, str)]


def rates(told: Sequence[str]) -> dict[str, str]:
    """Return name → rate limit of `name [rate_limit=10/m]`, as workers tell them."""
    found: dict[str, str] = {}
    for one in told:
        name, _, more = one.partition(" [")
        rate = more.partition("rate_limit=")[2].rstrip("]").partition(" ")[0]
        found[name] = "" if rate in ("None", "0") else rate
    return found


def held_as(answers: Sequence[object]) -> str:
    """Return how one of the processes of a name holds the task; empty if none does."""
    ways = [way for said in answers for way in _ways(said)]
    return next((way for way in HOLDING if way in ways), "")


def _ways(said: object) -> list[object]:
    """Return the states in an answer to `query_task`: `{id: [state, request]}`."""
    if not isinstance(said, Mapping):
        return []
    pairs = cast("Mapping[str, object]", said).values()
    told = [cast("Sequence[object]", p) for p in pairs if isinstance(p, list | tuple)]
    return [one[0] for one in told if one]


def _is_told(said: object) -> bool:
    """Return True if this is no error of a worker's (`{"error": text}`)."""
    if not isinstance(said, Mapping):
        return False
    return not isinstance(cast("Mapping[str, object]", said).get("error"), str)
