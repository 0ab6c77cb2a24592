"""The state of a worker, and its public view, derived from its record."""

from __future__ import annotations

from itertools import pairwise

import msgspec

from herald_core.model.events.event import to_finite
from herald_core.model.tasks.views import to_rfc3339
from herald_core.model.workers.worker_record import FieldValue, Worker, WorkerProcess

ONLINE = "online"
DRAINING = "draining"
SILENT = "silent"
OFFLINE = "offline"

LIVING_STATES = (ONLINE, DRAINING)
GONE_STATES = (SILENT, OFFLINE)

FORGET_AFTER_S = 86_400.0
"""Seconds after its last sign of life until a worker that is gone is deleted."""

DEFAULT_FREQUENCY_S = 2.0
"""Celery's heartbeat interval in seconds (celery/worker/heartbeat.py)."""

SILENT_AFTER_BEATS = 3.0
"""Heartbeats that must be missing before a worker counts as silent."""

DRAIN_TIMEOUT_S = 30.0
"""`worker-offline` starts a warm shutdown; no event reports its end. After this many
seconds of silence such a worker counts as gone."""

ANSWER_VALIDITY_S = 30.0
"""Seconds for which an answer shows that a worker lives, with or without heartbeats."""

BLOCKING_POOLS = frozenset({"solo", "gevent", "eventlet"})
"""Pools that run tasks on the thread of the events: a task that blocks silences the
worker."""

OUTBOX_FIELD = "outbox"
"""1 if the worker writes to the outbox: its events say so, under the same name."""


class WorkerView(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False
):
    """A worker as it is shown. `id` is its hostname.

    `slots` is how many tasks it can run at a time, and `pool` how ("solo", "gevent"),
    as it answered when it was asked. `processes` is how many share the name, if more
    than one do; counts are their sum then. `shared` says that they did at some time.
    `outbox` says that it writes its events to the outbox. `release` is the version of
    the project that it says it runs. `note` is what is to be known
    about its silence or its name, in a sentence.
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
    release: str | None = None
    started_at: str | None = None
    last_heartbeat_at: str | None = None
    clock_skew_ms: int | None = None
    pool: str | None = None
    processes: int | None = None
    shared: bool = False
    outbox: bool = False
    note: str | None = None
    updated_at: str | None = None
    rev: str | None = None

    def is_started_after(self, moment: str | None) -> bool:
        """Return True if it certainly started after `moment` (RFC 3339)."""
        return bool(moment and self.started_at and self.started_at > moment)


def get_last_sign(worker: Worker) -> float:
    """Return the time of the last sign of life of `worker`, by the monitor's clock."""
    return float(max(worker.received_at, worker.answered) or worker.last.at)


def find_worker_state(worker: Worker, now: float) -> str:
    """Return the state of `worker` at `now` (unix seconds).

    It depends on the last event or answer: the worker's own clock may be minutes off.
    """
    received_at = worker.received_at or worker.last.at
    if _is_offline(worker) and worker.answered <= received_at:
        if not _list_living(worker, now):
            return DRAINING if now - received_at <= DRAIN_TIMEOUT_S else OFFLINE
        return ONLINE
    silence_limit = _get_silence_limit(worker)
    if now - received_at <= silence_limit:
        return ONLINE
    # An answer counts only if heartbeats are missing already: those are faster.
    answers = worker.answered > received_at + silence_limit
    return ONLINE if answers and now - worker.answered <= ANSWER_VALIDITY_S else SILENT


def _get_silence_limit(worker: Worker) -> float:
    return SILENT_AFTER_BEATS * (_get_number(worker, "freq") or DEFAULT_FREQUENCY_S)


def _is_offline(worker: Worker) -> bool:
    return worker.offline is not None and worker.offline >= worker.last


def _list_living(worker: Worker, now: float) -> list[WorkerProcess]:
    """Return the processes of the name that run beside one another.

    A process that fell silent before the first event of another was replaced by it.
    """
    gone = worker.offline.pid if worker.offline and _is_offline(worker) else 0
    oldest = now - _get_silence_limit(worker)
    left = [p for pid, p in worker.processes.items() if pid != gone and p.last > oldest]
    newest = max((p.first for p in left), default=0)
    return [p for p in left if p.first == newest or p.last > newest]


def is_shared(worker: Worker) -> bool:
    """Return True if two processes used the name at one time."""
    spans = sorted((p.first, p.last) for p in worker.processes.values())
    overlap = any(a[1] > b[0] for a, b in pairwise(spans))
    return overlap or (_get_number(worker, "answers") or 0) > 1


def is_outbox_writer(worker: Worker) -> bool:
    """Return True if this boot of `worker` writes its events to the outbox."""
    return _get_number(worker, OUTBOX_FIELD) == 1.0


def _get_current_field(worker: Worker, key: str) -> FieldValue | None:
    """Return the value of this boot of `worker`; counters of earlier boots are void."""
    stamp, value = worker.fields.get(key, (worker.last, None))
    return None if worker.online and stamp < worker.online else value


def _get_number(worker: Worker, key: str) -> float | None:
    return to_finite(_get_current_field(worker, key))


def _get_count(worker: Worker, key: str) -> int | None:
    value = _get_number(worker, key)
    return None if value is None else int(value)


def make_worker_view(
    worker: Worker, now: float, rev: str | None = None, until: float | None = None
) -> WorkerView:
    """Return `worker` as it is shown at `now`.

    Its silence is proven up to `until`, if that is earlier.
    """
    load = _get_current_field(worker, "loadavg")
    seen_at = to_rfc3339(min(get_last_sign(worker), now))
    state = find_worker_state(worker, now if until is None else until)
    living = _list_living(worker, now) if worker.processes else []
    processes = max(len(living), _get_count(worker, "answers") or 0)
    pool = _get_text(worker, "pool")
    return WorkerView(
        id=worker.hostname,
        hostname=worker.hostname,
        state=state,
        pid=worker.last.pid or None,
        active=_sum_living(worker, "active", living),
        slots=_get_count(worker, "slots"),
        processed=_sum_living(worker, "processed", living),
        loadavg=load if isinstance(load, tuple) else None,
        freq=_get_number(worker, "freq"),
        software=_get_text(worker, "software"),
        release=_get_text(worker, "release"),
        started_at=to_rfc3339(worker.online.at) if worker.online else None,
        last_heartbeat_at=seen_at,
        clock_skew_ms=None if worker.skew is None else round(worker.skew * 1000),
        pool=pool,
        processes=processes if processes > 1 else None,
        shared=is_shared(worker),
        outbox=is_outbox_writer(worker),
        note=_describe_silence(worker.hostname, state, seen_at, pool, processes),
        updated_at=seen_at,
        rev=rev,
    )


def _get_text(worker: Worker, key: str) -> str | None:
    text = _get_current_field(worker, key)
    return text if isinstance(text, str) else None


def _sum_living(worker: Worker, key: str, living: list[WorkerProcess]) -> int | None:
    """Return the sum over processes that share the name, or the value of the one."""
    known = [p.counted for p in living if p.counted is not None]
    if len(known) < 2:
        return _get_count(worker, key)
    return int(sum(counts[1 if key == "active" else 2] for counts in known))


def _describe_silence(
    hostname: str, state: str, seen_at: str, pool: str | None, processes: int
) -> str | None:
    """Return an explanation of the silence or the name of a worker, if there is one."""
    if state == SILENT and pool in BLOCKING_POOLS:
        return (
            f"Silent since {seen_at}: it may be busy, since the {pool} pool can say"
            " nothing while a task keeps it."
        )
    if state == SILENT:
        return f"Silent since {seen_at}: it died, was stopped, or is cut off."
    if processes > 1:
        return (
            f"{processes} processes share the name {hostname}: counts are their sum."
            " Give each a name of its own (-n)."
        )
    return None
