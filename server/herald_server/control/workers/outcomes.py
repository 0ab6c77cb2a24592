"""Decide the outcome of an order from what the worker said before and after. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from herald_core.model.workers.worker import (
    DRAINING,
    LIVING_STATES,
    OFFLINE,
    WorkerView,
)
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
from herald_server.control.workers.evidence import Evidence

REQUESTED = "requested"
ACKNOWLEDGED = "acknowledged"
VERIFIED = "verified"
NOT_VERIFIED = "not_verified"
REFUSED = "refused"
NO_ANSWER = "no_answer"
"""States of an order to a worker."""

VERIFY_TIMEOUT_S = 15.0
"""Seconds in which the worker must be as ordered: the prefork pool starts and stops
its processes every 5 s (celery/concurrency/asynpool.py)."""

TIMELESS_POOLS = frozenset(["thread", "threads", "solo"])
"""Pools that enforce no time limit (celery/concurrency)."""

GREEN_POOLS = frozenset(["gevent", "eventlet"])
"""Pools that enforce only the hard time limit."""


class Verdict(msgspec.Struct, frozen=True):
    """The state of an order, and a sentence about it.

    `is_definite`: asking the worker again would not change it.
    """

    state: str
    message: str
    is_definite: bool = False


Boot = tuple[int | None, str | None]
"""The pid and start time of a worker: different after each restart."""

Decision = Callable[[WorkerCommand, Evidence, Evidence], Verdict]


# -- before anything is sent ------------------------------------------------------


def find_objection(command: WorkerCommand, before: Evidence) -> Verdict | None:
    """Return why `command` is not sent to a worker that is as in `before`."""
    if command.name == POOL_SHRINK and before.size is not None:
        each = before.size // max(before.processes, 1)
        if command.arguments["n"] >= each:
            return Verdict(
                REFUSED,
                f"Nothing was sent: the pool has {each}, and shrinking it by "
                f"{command.arguments['n']} would leave none. To stop its work, cancel "
                "its consumers or shut it down.",
            )
    if command.name in (RATE_LIMIT, TIME_LIMIT) and before.limits is None:
        name = command.arguments["task_name"]
        return Verdict(
            REFUSED, f"Nothing was sent: the worker registers no task named {name}."
        )
    return None


# -- afterwards -------------------------------------------


def decide(command: WorkerCommand, before: Evidence, after: Evidence) -> Verdict:
    """Return what `after` shows: `VERIFIED`, or `NOT_VERIFIED` as of now."""
    if after.processes < max(before.processes, 1):
        return Verdict(
            NOT_VERIFIED,
            f"{after.processes} of {before.processes} processes of the worker answered"
            " afterwards.",
        )
    return DECISIONS[command.name](command, before, after)


def _decide_size(command: WorkerCommand, before: Evidence, after: Evidence) -> Verdict:
    if before.size is None or after.size is None:
        return Verdict(NOT_VERIFIED, "The worker does not tell the size of its pool.")
    sign = 1 if command.name == POOL_GROW else -1
    wanted = before.size + sign * command.arguments["n"] * before.processes
    if after.size == wanted:
        return Verdict(
            VERIFIED, f"The pool has {after.size} now, {before.size} before."
        )
    return Verdict(
        NOT_VERIFIED,
        f"The pool has {after.size}, not {wanted}; it had {before.size} before.",
    )


def _decide_autoscale(
    command: WorkerCommand, before: Evidence, after: Evidence
) -> Verdict:
    most, least = command.arguments.get("max"), command.arguments.get("min")
    is_set = after.autoscale and all(
        most in (None, one[0]) and least in (None, one[1]) for one in after.autoscale
    )
    ranges = ", ".join(f"{one[1]} to {one[0]}" for one in after.autoscale) or "no range"
    if is_set:
        return Verdict(VERIFIED, f"The worker scales its pool from {ranges}.")
    return Verdict(NOT_VERIFIED, f"The worker reports {ranges}.")


def _decide_consumer(
    command: WorkerCommand, before: Evidence, after: Evidence
) -> Verdict:
    queue = command.arguments["queue"]
    wanted = after.processes if command.name == ADD_CONSUMER else 0
    if after.consumes == wanted:
        verb = "consumes" if wanted else "does not consume"
        return Verdict(VERIFIED, f"The worker {verb} the queue {queue!r} now.")
    verb = "does not consume" if wanted else "still consumes"
    return Verdict(NOT_VERIFIED, f"The worker {verb} the queue {queue!r}.")


def _decide_rate(command: WorkerCommand, before: Evidence, after: Evidence) -> Verdict:
    name, rate = command.arguments["task_name"], command.arguments["rate_limit"]
    stored = [one.get("rate_limit", "None") for one in after.limits or ()]
    if not stored or any(one != rate for one in stored):
        found = ", ".join(stored) or "no such task"
        return Verdict(
            NOT_VERIFIED, f"The rate limit of {name} is {found} there, not {rate}."
        )
    if before.ignores_rates or after.ignores_rates:
        return Verdict(
            NOT_VERIFIED,
            f"The worker stored the rate limit {rate}, but ignores all rate limits: "
            "worker_disable_rate_limits is set.",
            is_definite=True,
        )
    return Verdict(VERIFIED, f"The rate limit of {name} is {rate} there.")


def _decide_time(command: WorkerCommand, before: Evidence, after: Evidence) -> Verdict:
    name = command.arguments["task_name"]
    soft, hard = command.arguments["soft"], command.arguments["hard"]
    pairs = (("soft_time_limit", soft), ("time_limit", hard))
    stored = after.limits or ()
    text = f"soft {_format_limit(soft)}, hard {_format_limit(hard)}"
    if not stored or any(
        _read_number(one.get(key)) != value for one in stored for key, value in pairs
    ):
        return Verdict(NOT_VERIFIED, f"The worker does not report {text} for {name}.")
    if ignored := _describe_unenforced(after.pool, soft, hard):
        message = f"The worker stored {text} for {name}, but {ignored}."
        return Verdict(NOT_VERIFIED, message, is_definite=True)
    return Verdict(VERIFIED, f"The time limits of {name} are {text} there.")


def _describe_unenforced(
    pool: str | None, soft: float | None, hard: float | None
) -> str:
    if pool in TIMELESS_POOLS and (soft or hard):
        return f"a pool of the kind {pool} enforces no time limits"
    if pool in GREEN_POOLS and soft:
        return f"a pool of the kind {pool} enforces no soft time limits"
    return ""


def _decide_restart(
    command: WorkerCommand, before: Evidence, after: Evidence
) -> Verdict:
    """Return whether the processes of a pool are new.

    An idle process of the prefork pool sees that it is to end only when it receives a
    task (billiard/pool.py: restart), and each task goes to the first free process
    (celery/concurrency/asynpool.py).
    """
    if before.pool != "prefork" or not before.pids:
        return Verdict(
            NOT_VERIFIED,
            "The worker accepted the command, but a pool of the kind"
            f" {before.pool or 'unknown'} has no processes that it could restart.",
            is_definite=True,
        )
    left = set(before.pids) & set(after.pids)
    if after.pids and not left:
        return Verdict(
            VERIFIED, f"All {len(after.pids)} processes of the pool are new."
        )
    return Verdict(
        NOT_VERIFIED,
        f"{len(left)} of {len(before.pids)} processes of the pool are not replaced yet;"
        " an idle one is replaced after its next task, and all are once there are as"
        " many tasks at a time as processes.",
    )


def decide_shutdown(boot: Boot, worker: WorkerView | None) -> Verdict | None:
    """Return `VERIFIED` once the process `boot` of a worker is gone or goes."""
    if worker is None:
        return Verdict(VERIFIED, "The worker is gone, and so is its record.")
    if (worker.pid, worker.started_at) != boot and worker.state in LIVING_STATES:
        at = worker.started_at or "an unknown time"
        return Verdict(
            VERIFIED,
            f"The worker shut down; another started under its name at {at}.",
        )
    if worker.state == OFFLINE:
        return Verdict(VERIFIED, "The worker shut down.")
    if worker.state == DRAINING:
        left = f"its {worker.active} running tasks" if worker.active else "its tasks"
        return Verdict(
            VERIFIED,
            f"The worker takes no more tasks, and ends once {left} have ended.",
        )
    return None


def _read_number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def _format_limit(seconds: float | None) -> str:
    return "none" if seconds is None else f"{seconds:g} s"


DECISIONS: Mapping[str, Decision] = {
    POOL_GROW: _decide_size,
    POOL_SHRINK: _decide_size,
    AUTOSCALE: _decide_autoscale,
    ADD_CONSUMER: _decide_consumer,
    CANCEL_CONSUMER: _decide_consumer,
    RATE_LIMIT: _decide_rate,
    TIME_LIMIT: _decide_time,
    POOL_RESTART: _decide_restart,
}
