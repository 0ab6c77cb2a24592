"""The record of a worker, joined like a task.

A worker is named by its hostname; each boot (pid) starts its counters again. The name
is no identity: several processes may share it.
"""

from __future__ import annotations

import msgspec

MAX_PROCESSES = 8
"""Separately stored processes of one name; the latest ones."""


class LogicalTime(msgspec.Struct, frozen=True, array_like=True, order=True, gc=False):
    """The position of an event in a worker's life: orders two events."""

    at: float
    clock: int
    pid: int


FieldValue = float | str | tuple[float, ...]


class WorkerProcess(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One process of a name: its first and last event, and its counters.

    Times are the monitor's, in whole unix seconds.
    """

    first: int
    last: int
    counted: tuple[int, float, float] | None = None
    """When it counted its tasks last, those it ran, and those it had accepted."""


class Worker(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """All received information about the worker `hostname`."""

    hostname: str
    last: LogicalTime
    fields: dict[str, tuple[LogicalTime, FieldValue]] = msgspec.field(
        default_factory=dict[str, tuple[LogicalTime, FieldValue]], name="told"
    )
    """Field → time and value. Wake-up heartbeats lack most."""
    online: LogicalTime | None = None
    """The first `worker-online` of its newest process."""
    offline: LogicalTime | None = None
    skew: float | None = None
    """Seconds by which its clock is ahead of the monitor's (negative: behind), as far
    as is known: the fastest event is the best measure."""
    received_at: int = msgspec.field(default=0, name="heard")
    """The arrival of its newest event, in unix seconds, rounded up: whole, so that two
    monitors that receive the same event agree."""
    answered: int = 0
    """The time of its last answer, likewise."""
    processes: dict[int, WorkerProcess] = {}
    """By process id, the latest ones."""


def join_workers(a: Worker, b: Worker) -> Worker:
    """Return all that `a` and `b` know of one worker; `a` itself if that is all."""
    fields = dict(a.fields)
    for key, (stamp, value) in b.fields.items():
        was = fields.get(key)
        if was is None or (stamp, repr(value)) > (was[0], repr(was[1])):
            fields[key] = (stamp, value)
    joined = Worker(
        hostname=a.hostname,
        last=max(a.last, b.last),
        fields=fields,
        online=_choose_newer(a.online, b.online),
        offline=_choose_newer(a.offline, b.offline),
        skew=_choose_larger(a.skew, b.skew),
        received_at=max(a.received_at, b.received_at),
        answered=max(a.answered, b.answered),
        processes=_join_processes(a.processes, b.processes),
    )
    return a if joined == a else joined


def _join_processes(
    a: dict[int, WorkerProcess], b: dict[int, WorkerProcess]
) -> dict[int, WorkerProcess]:
    if not b or a == b:
        return a
    joined = dict(a)
    for pid, one in b.items():
        was = joined.get(pid)
        joined[pid] = _join_process(was, one) if was else one
    if len(joined) > MAX_PROCESSES:
        oldest = sorted(joined, key=lambda pid: (joined[pid].last, pid))
        for pid in oldest[: len(joined) - MAX_PROCESSES]:
            del joined[pid]
    return joined


def _join_process(a: WorkerProcess, b: WorkerProcess) -> WorkerProcess:
    counted = max(a.counted, b.counted) if a.counted and b.counted else None
    return WorkerProcess(
        min(a.first, b.first), max(a.last, b.last), counted or a.counted or b.counted
    )


def _choose_newer(a: LogicalTime | None, b: LogicalTime | None) -> LogicalTime | None:
    return max(a, b) if a and b else a or b


def _choose_larger(a: float | None, b: float | None) -> float | None:
    if a is None or b is None:
        return b if a is None else a
    return max(a, b)
