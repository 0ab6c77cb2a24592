"""Query workers about one task over remote control."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from celery import Celery

from herald_core.model.tasks.views import TaskView
from herald_monitor.celery_client.broker.connection import (
    connect_broker,
    drop_connection,
    require_control,
)
from herald_monitor.celery_client.workers.active_queues import (
    ConsumedQueue,
    read_consumed,
)
from herald_monitor.celery_client.workers.broadcast_query import BroadcastQuery
from herald_monitor.celery_client.workers.inspect_replies import QUEUES
from herald_server.diagnosis.facts import WorkerQueryResult

ANSWER_TIMEOUT_S = 1.0
"""Seconds that workers have for each of four questions."""

HOLDING_COMMANDS = ("active", "reserved", "scheduled")
"""How a worker may have a task; "ready" is what it has done."""

RATE_ARGUMENTS = {"taskinfoitems": ["rate_limit"]}


def ask_workers(app: Celery, task: TaskView, hosts: Sequence[str]) -> WorkerQueryResult:
    """Query `hosts` (none: all) for their queues, registered tasks, revoked and held
    tasks.

    Workers that do not answer the first query are not sent the others. Raises
    `UnsupportedByBroker`.
    """
    require_control(app)
    connection = connect_broker(app)
    try:
        questions = BroadcastQuery(app, connection, ANSWER_TIMEOUT_S)
        consumed = _list_consumed(questions.send(QUEUES, hosts).by_host)
        if not consumed:
            return WorkerQueryResult()
        names = sorted(consumed)
        return _parse_answers(
            task,
            consumed,
            revoked=questions.send("revoked", names).by_host,
            known=questions.send("registered", names, RATE_ARGUMENTS).by_host,
            held=questions.send("query_task", names, {"ids": [task.id]}).by_host,
        )
    finally:
        drop_connection(connection)


Answers = Mapping[str, Sequence[object]]
"""By hostname, what each process of that name answered."""


def _list_consumed(answers: Answers) -> dict[str, list[ConsumedQueue]]:
    return {
        host: [queue for one in sent for queue in read_consumed(one)]
        for host, sent in answers.items()
    }


def _parse_answers(
    task: TaskView,
    consumed: Mapping[str, Sequence[ConsumedQueue]],
    *,
    revoked: Answers,
    known: Answers,
    held: Answers,
) -> WorkerQueryResult:
    key = task.routing_key
    return WorkerQueryResult(
        answered=frozenset(consumed),
        queues={h: frozenset(q.name for q in qs) for h, qs in consumed.items()},
        consumers=frozenset(
            host
            for host, queues in consumed.items()
            if key and any(queue.matches_routing_key(key) for queue in queues)
        ),
        revoked=frozenset(
            host for host, ids in revoked.items() if task.id in _collect_texts(ids)
        ),
        known={
            host: parse_rate_limits(_collect_texts(names))
            for host, names in known.items()
        },
        held={
            host: state
            for host, states in held.items()
            if (state := find_holding_state(states))
        },
        searched=frozenset(
            h for h, states in held.items() if all(map(_is_answer, states))
        ),
    )


def _collect_texts(answers: Sequence[object]) -> list[str]:
    """Return the strings in all answers of one hostname."""
    lists = [cast("list[object]", one) for one in answers if isinstance(one, list)]
    return [text for one in lists for text in one if isinstance(text, str)]


def parse_rate_limits(registered: Sequence[str]) -> dict[str, str]:
    """Return task name → rate limit, parsed from `name [rate_limit=10/m]`."""
    limits: dict[str, str] = {}
    for one in registered:
        name, _, more = one.partition(" [")
        rate = more.partition("rate_limit=")[2].rstrip("]").partition(" ")[0]
        limits[name] = "" if rate in ("None", "0") else rate
    return limits


def find_holding_state(answers: Sequence[object]) -> str:
    """Return the state in which a process of a hostname holds the
    task; empty if none does."""
    states = [state for one in answers for state in _list_states(one)]
    return next((state for state in HOLDING_COMMANDS if state in states), "")


def _list_states(answer: object) -> list[object]:
    """Return the states in an answer to `query_task`: `{id: [state, request]}`."""
    if not isinstance(answer, Mapping):
        return []
    pairs = cast("Mapping[str, object]", answer).values()
    known = [cast("Sequence[object]", p) for p in pairs if isinstance(p, list | tuple)]
    return [one[0] for one in known if one]


def _is_answer(answer: object) -> bool:
    """Return True if the answer is not an error (`{"error": text}`)."""
    if not isinstance(answer, Mapping):
        return False
    return not isinstance(cast("Mapping[str, object]", answer).get("error"), str)
