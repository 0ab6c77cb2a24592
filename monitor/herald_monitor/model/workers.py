"""What is known of a worker, joined like a task; whether it lives is read off.

A worker is named by its hostname; each boot (pid) starts its counters anew. The name
is no identity: several processes may share it.
"""

from __future__ import annotations

from itertools import pairwise

import msgspec

from herald_monitor.model.events import number
from herald_monitor.model.shape import rfc3339

ONLINE = "online"
DRAINING = "draining"
SILENT = "silent"
OFFLINE = "offline"

LIVING = (ONLINE, DRAINING)
GONE = (SILENT, OFFLINE)

FORGET_AFTER = 86_400.0
"""Seconds after its last sign of life for which a worker that is gone is kept."""

DEFAULT_FREQ = 2.0
"""Celery's heartbeat interval in seconds (celery/worker/heartbeat.py)."""

SILENT_AFTER = 3.0
"""Heartbeats that must be missing before a worker counts as silent."""

DRAIN_FOR = 30.0
"""`worker-offline` opens a warm shutdown; nobody says when it ends. Seconds
without a word after which such a worker counts as gone."""

ANSWER_FOR = 30.0
"""Seconds for which an answer shows that a worker lives, with or without heartbeats."""

BLOCKED_BY_TASKS = frozenset({"solo", "gevent", "eventlet"})
"""Pools that run tasks where the worker speaks: a task that blocks silences it."""

MOST_PROCESSES = 8
"""Processes of one name that are told apart; the ones heard last."""


class Stamp(msgspec.Struct, frozen=True, array_like=True, order=True, gc=False):
    """Where in a worker's life something was said: orders what two events tell."""

    at: float
    clock: int
    pid: int


Field = float | str | tuple[float, ...]


class Process(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One process of a name: when it was heard first and last, and what it counts.

    Times are the monitor's, in whole unix seconds.
    """

    first: int
    last: int
    counted: tuple[int, float, float] | None = None
    """When it counted its tasks last, those it ran, and those it had accepted."""


class Worker(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What was heard of the worker `hostname`."""

    hostname: str
    last: Stamp
    told: dict[str, tuple[Stamp, Field]] = {}
    """Field → when it was said, and its value. Wake-up heartbeats lack most."""
    online: Stamp | None = None
    """When its newest process said that it is there for the first time."""
    offline: Stamp | None = None
    skew: float | None = None
    """Seconds by which its clock runs ahead of the monitor's (negative: behind),
    as far as is known: the word that travelled fastest tells best."""
    heard: int = 0
    """When its newest word arrived, in unix seconds, rounded up: whole, so that
    two monitors that hear the same agree."""
    answered: int = 0
    """When it answered a question last, likewise."""
    processes: dict[int, Process] = {}
    """By process id, those that were heard last."""


class WorkerImage(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False
):
    """A worker as it is shown. `id` is its hostname.

    `slots` is how many tasks it can run at a time, and `pool` how ("solo", "gevent"),
    as it answered when it was asked. `processes` is how many share the name, if more
    than one do; counts are their sum then. `shared` says that they did at some time.
    `note` is what is to be known about its silence or its name, in a sentence.
    """

    id: str
    hostname: str
    state: str
    pid: int | None = None
    active: int | None = None
    slots: int | None = None
    processed: int | None = None
    loadavg: tuple[float, ...] | None = None
    freq: float | None = None
    software: str | None = None
    started_at: str | None = None
    last_heartbeat_at: str | None = None
    clock_skew_ms: int | None = None
    pool: str | None = None
    processes: int | None = None
    shared: bool = False
    note: str | None = None
    updated_at: str | None = None
    rev: str | None = None

    def was_started_after(self, moment: str | None) -> bool:
        """Return True if it is known to be started after `moment` (RFC 3339)."""
        return bool(moment and self.started_at and self.started_at > moment)


def join_workers(a: Worker, b: Worker) -> Worker:
    """Return all that `a` and `b` know of one worker; `a` itself if that is all."""
    told = dict(a.told)
    for key, (stamp, value) in b.told.items():
        if key not in told or (stamp, repr(value)) > (told[key][0], repr(told[key][1])):
            told[key] = (stamp, value)
    joined = Worker(
        hostname=a.hostname,
        last=max(a.last, b.last),
        told=told,
        online=_newer(a.online, b.online),
        offline=_newer(a.offline, b.offline),
        skew=_most(a.skew, b.skew),
        heard=max(a.heard, b.heard),
        answered=max(a.answered, b.answered),
        processes=_join_processes(a.processes, b.processes),
    )
    return a if joined == a else joined


def _join_processes(a: dict[int, Process], b: dict[int, Process]) -> dict[int, Process]:
    if not b or a == b:
        return a
    joined = dict(a)
    for pid, one in b.items():
        was = joined.get(pid)
        joined[pid] = _join_process(was, one) if was else one
    if len(joined) > MOST_PROCESSES:
        oldest = sorted(joined, key=lambda pid: (joined[pid].last, pid))
        for pid in oldest[: len(joined) - MOST_PROCESSES]:
            del joined[pid]
    return joined


def _join_process(a: Process, b: Process) -> Process:
    counted = max(a.counted, b.counted) if a.counted and b.counted else None
    return Process(
        min(a.first, b.first), max(a.last, b.last), counted or a.counted or b.counted
    )


def _newer(a: Stamp | None, b: Stamp | None) -> Stamp | None:
    return max(a, b) if a and b else a or b


def _most(a: float | None, b: float | None) -> float | None:
    if a is None or b is None:
        return b if a is None else a
    return max(a, b)


def last_sign(worker: Worker) -> float:
    """Return when `worker` was heard last, in whatever way, by the monitor's clock."""
    return float(max(worker.heard, worker.answered) or worker.last.at)


def state_of(worker: Worker, now: float) -> str:
    """Return whether `worker` lives at `now` (unix seconds).

    By when it was heard, or answered: its own clock may be minutes off.
    """
    heard = worker.heard or worker.last.at
    if _said_goodbye(worker) and worker.answered <= heard:
        if not _living(worker, now):
            return DRAINING if now - heard <= DRAIN_FOR else OFFLINE
        return ONLINE
    patience = _patience(worker)
    if now - heard <= patience:
        return ONLINE
    # An answer counts where heartbeats were missing already: those tell more quickly.
    answers = worker.answered > heard + patience
    return ONLINE if answers and now - worker.answered <= ANSWER_FOR else SILENT


def _patience(worker: Worker) -> float:
    return SILENT_AFTER * (_number(worker, "freq") or DEFAULT_FREQ)


def _said_goodbye(worker: Worker) -> bool:
    return worker.offline is not None and worker.offline >= worker.last


def _living(worker: Worker, now: float) -> list[Process]:
    """Return the processes of the name that live beside one another.

    One that fell silent before another was first heard was replaced by that.
    """
    gone = worker.offline.pid if worker.offline and _said_goodbye(worker) else 0
    oldest = now - _patience(worker)
    left = [p for pid, p in worker.processes.items() if pid != gone and p.last > oldest]
    newest = max((p.first for p in left), default=0)
    return [p for p in left if p.first == newest or p.last > newest]


def is_shared(worker: Worker) -> bool:
    """Return True if two processes were heard under the name at one time."""
    spans = sorted((p.first, p.last) for p in worker.processes.values())
    overlap = any(a[1] > b[0] for a, b in pairwise(spans))
    return overlap or (_number(worker, "answers") or 0) > 1


def _said(worker: Worker, key: str) -> Field | None:
    """Return what this boot of `worker` said; counters of the one before are void."""
    stamp, value = worker.told.get(key, (worker.last, None))
    return None if worker.online and stamp < worker.online else value


def _number(worker: Worker, key: str) -> float | None:
    return number(_said(worker, key))


def _count(worker: Worker, key: str) -> int | None:
    value = _number(worker, key)
    return None if value is None else int(value)


def worker_image(
    worker: Worker, now: float, rev: str | None = None, until: float | None = None
) -> WorkerImage:
    """Return `worker` as it is shown at `now`.

    Its silence is proven up to `until`, if that is earlier.
    """
    load = _said(worker, "loadavg")
    heard = rfc3339(min(last_sign(worker), now))
    state = state_of(worker, now if until is None else until)
    living = _living(worker, now) if worker.processes else []
    processes = max(len(living), _count(worker, "answers") or 0)
    pool = _text(worker, "pool")
    return WorkerImage(
        id=worker.hostname,
        hostname=worker.hostname,
        state=state,
        pid=worker.last.pid or None,
        active=_sum(worker, "active", living),
        slots=_count(worker, "slots"),
        processed=_sum(worker, "processed", living),
        loadavg=load if isinstance(load, tuple) else None,
        freq=_number(worker, "freq"),
        software=_text(worker, "software"),
        started_at=rfc3339(worker.online.at) if worker.online else None,
        last_heartbeat_at=heard,
        clock_skew_ms=None if worker.skew is None else round(worker.skew * 1000),
        pool=pool,
        processes=processes if processes > 1 else None,
        shared=is_shared(worker),
        note=_note(worker.hostname, state, heard, pool, processes),
        updated_at=heard,
        rev=rev,
    )


def _text(worker: Worker, key: str) -> str | None:
    text = _said(worker, key)
    return text if isinstance(text, str) else None


def _sum(worker: Worker, key: str, living: list[Process]) -> int | None:
    """Return the sum over processes that share the name, or what the one told."""
    known = [p.counted for p in living if p.counted is not None]
    if len(known) < 2:
        return _count(worker, key)
    return int(sum(counts[1 if key == "active" else 2] for counts in known))


def _note(
    hostname: str, state: str, heard: str, pool: str | None, processes: int
) -> str | None:
    """Return what the silence or the name of a worker means, if there is anything."""
    if state == SILENT and pool in BLOCKED_BY_TASKS:
        return (
            f"Silent since {heard}: it may be busy, since the {pool} pool can say"
            " nothing while a task keeps it."
        )
    if state == SILENT:
        return f"Silent since {heard}: it died, was stopped, or is cut off."
    if processes > 1:
        return (
            f"{processes} processes share the name {hostname}: counts are their sum."
            " Give each a name of its own (-n)."
        )
    return None
