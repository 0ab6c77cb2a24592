"""What a worker answers about itself, as far as orders are verified by it. Pure.

Several processes may answer by one hostname. Answers are untrusted: values of another
shape are left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec

from herald_core.model.events.event import MAX_SMALL, to_bounded_int
from herald_monitor.celery_client.workers.active_queues import read_consumed
from herald_server.control.workers.commands import (
    ADD_CONSUMER,
    AUTOSCALE,
    CANCEL_CONSUMER,
    POOL_GROW,
    POOL_RESTART,
    POOL_SHRINK,
    RATE_LIMIT,
    TIME_LIMIT,
    WorkerCommand,
)

STATS = "stats"
QUEUES = "active_queues"
REGISTERED = "registered"
CONF = "conf"

MAX_PIDS = 500
"""Process ids of a pool that are stored."""

LIMIT_ITEMS = ("rate_limit", "time_limit", "soft_time_limit")

QUESTIONS: Mapping[str, tuple[str, ...]] = {
    POOL_GROW: (STATS,),
    POOL_SHRINK: (STATS,),
    AUTOSCALE: (STATS,),
    POOL_RESTART: (STATS,),
    ADD_CONSUMER: (QUEUES,),
    CANCEL_CONSUMER: (QUEUES,),
    RATE_LIMIT: (REGISTERED, CONF),
    TIME_LIMIT: (REGISTERED, STATS),
}
"""By command, the questions whose answers show whether it was carried out."""

ARGUMENTS: Mapping[str, Mapping[str, Any]] = {
    REGISTERED: {"taskinfoitems": list(LIMIT_ITEMS), "builtins": True},
    CONF: {"with_defaults": False},
}

Answers = Mapping[str, Sequence[object]]
"""By question, what each process of the worker answered."""


class Evidence(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The answers of one worker, merged over the processes of its name.

    `processes` is how many answered. `size` is the sum of their pools, `pids` are the
    processes of these pools. `autoscale` is each (max, min). `consumes` counts the
    processes that consume the queue of the command. `limits` are those of its task,
    None if it is not registered.
    """

    processes: int = 0
    pool: str | None = None
    size: int | None = None
    pids: tuple[int, ...] = ()
    autoscale: tuple[tuple[int, int], ...] = ()
    consumes: int | None = None
    limits: tuple[dict[str, str], ...] | None = None
    ignores_rates: bool = False


def read_evidence(command: WorkerCommand, answers: Answers) -> Evidence:
    """Return what `answers` say about the matter of `command`."""
    stats = [_to_mapping(one) for one in answers.get(STATS, ())]
    pools = [_to_mapping(one.get("pool")) for one in stats]
    sizes = [_read_size(pool) for pool in pools]
    known = [size for size in sizes if size is not None]
    queue = command.arguments.get("queue")
    return Evidence(
        processes=min((len(some) for some in answers.values()), default=0),
        pool=next(filter(None, map(_read_pool_kind, pools)), None),
        size=sum(known) if known and len(known) == len(sizes) else None,
        pids=_read_pids(pools),
        autoscale=tuple(filter(None, map(_read_autoscale, stats))),
        consumes=_count_consuming(answers[QUEUES], queue)
        if QUEUES in answers
        else None,
        limits=_read_limits(answers, command.arguments.get("task_name")),
        ignores_rates=any(
            _to_mapping(one).get("worker_disable_rate_limits") is True
            for one in answers.get(CONF, ())
        ),
    )


def _read_size(pool: Mapping[str, object]) -> int | None:
    """Return how many tasks a pool runs at once.

    The prefork pool states its initial size as `max-concurrency` for ever, so its
    processes are counted (celery/concurrency/prefork.py: _get_info).
    """
    processes = pool.get("processes")
    if isinstance(processes, list):
        return len(cast("list[object]", processes))
    return to_bounded_int(pool.get("max-concurrency"), MAX_SMALL)


def _read_pids(pools: Sequence[Mapping[str, object]]) -> tuple[int, ...]:
    lists = [
        cast("list[object]", p)
        for p in (one.get("processes") for one in pools)
        if isinstance(p, list)
    ]
    found = (to_bounded_int(pid, MAX_SMALL) for some in lists for pid in some)
    return tuple(sorted(pid for pid in found if pid is not None))[:MAX_PIDS]


def _read_pool_kind(pool: Mapping[str, object]) -> str | None:
    """Return `solo` of `celery.concurrency.solo:TaskPool`."""
    name = pool.get("implementation")
    if not isinstance(name, str):
        return None
    kind = name.partition(":")[0].rpartition(".")[2][:80]
    return {"thread": "threads"}.get(kind, kind) or None


def _read_autoscale(stats: Mapping[str, object]) -> tuple[int, int] | None:
    scaler = _to_mapping(stats.get("autoscaler"))
    most = to_bounded_int(scaler.get("max"), MAX_SMALL)
    least = to_bounded_int(scaler.get("min"), MAX_SMALL)
    return None if most is None or least is None else (most, least)


def _count_consuming(answers: Sequence[object], queue: object) -> int:
    return sum(any(q.name == queue for q in read_consumed(one)) for one in answers)


def _read_limits(
    answers: Answers, task_name: object
) -> tuple[dict[str, str], ...] | None:
    """Return the limits of a task in each process that registers it."""
    if REGISTERED not in answers or not isinstance(task_name, str):
        return None
    lists = [
        cast("list[object]", one)
        for one in answers[REGISTERED]
        if isinstance(one, list)
    ]
    found: list[dict[str, str]] = []
    for text in (text for some in lists for text in some if isinstance(text, str)):
        name, _, more = text.partition(" [")
        if name == task_name:
            pairs = (one.partition("=") for one in more.rstrip("]").split(" ") if one)
            found.append({key: value for key, _, value in pairs})
    return tuple(found) or None


def _to_mapping(value: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", value) if isinstance(value, Mapping) else {}
