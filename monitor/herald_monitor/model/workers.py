"""What is known of a worker, joined like a task; whether it lives is read off.

A worker is named by its hostname; each boot (pid) starts its counters anew.
"""

from __future__ import annotations

import math

import msgspec

from herald_monitor.errors import BadEvent
from herald_monitor.model.events import (
    MAX_CLOCK,
    MAX_NAME,
    MAX_SMALL,
    RawEvent,
    moment,
    number,
    shorten,
    whole,
)
from herald_monitor.model.shape import rfc3339

KINDS = ("worker-online", "worker-heartbeat", "worker-offline")

ONLINE = "online"
DRAINING = "draining"
SILENT = "silent"
OFFLINE = "offline"

DEFAULT_FREQ = 2.0
"""Celery's heartbeat interval in seconds (celery/worker/heartbeat.py)."""

MAX_FREQ = 3_600.0
MAX_COUNT = float(1 << 53)
MAX_SKEW = 1e9

SILENT_AFTER = 3.0
"""Heartbeats that must be missing before a worker counts as silent."""

DRAIN_FOR = 30.0
"""`worker-offline` opens a warm shutdown; nobody says when it ends. Seconds
without a word after which such a worker counts as gone."""


class Stamp(msgspec.Struct, frozen=True, array_like=True, order=True, gc=False):
    """Where in a worker's life something was said: orders what two events tell."""

    at: float
    clock: int
    pid: int


class Worker(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What was heard of the worker `hostname`."""

    hostname: str
    last: Stamp
    told: dict[str, tuple[Stamp, float | str | tuple[float, ...]]] = {}
    """Field → when it was said, and its value. Wake-up heartbeats lack most."""
    online: Stamp | None = None
    offline: Stamp | None = None
    skew: float | None = None
    """Seconds by which its clock runs ahead of the monitor's (negative: behind),
    as far as is known: the word that travelled fastest tells best."""
    heard: int = 0
    """When its newest word arrived, in unix seconds, rounded up: whole, so that
    two monitors that hear the same agree."""


class WorkerImage(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False
):
    """A worker as it is shown. `id` is its hostname.

    `slots` is how many tasks it can run at a time, as it answered when it was asked.
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
    updated_at: str | None = None
    rev: str | None = None


def parse_worker(raw: RawEvent, heard: float) -> Worker | None:
    """Return what `raw` says of a worker, or None if it is of another kind.

    Raises `BadEvent`.
    """
    kind = raw.get("type")
    if kind not in KINDS:
        return None
    hostname = raw.get("hostname")
    if not isinstance(hostname, str) or not hostname:
        raise BadEvent(f"{kind} without a hostname")
    stamp = Stamp(
        moment(raw.get("timestamp"), heard),
        whole(raw.get("clock"), MAX_CLOCK) or 0,
        whole(raw.get("pid"), MAX_SMALL) or 0,
    )
    return Worker(
        hostname=shorten(hostname, MAX_NAME),
        last=stamp,
        told={k: (stamp, v) for k, v in _fields(raw)},
        online=stamp if kind == "worker-online" else None,
        offline=stamp if kind == "worker-offline" else None,
        skew=_skew(number(raw.get("timestamp")), heard),
        heard=math.ceil(heard),
    )


def with_slots(hostname: str, slots: int, at: float) -> Worker:
    """Return that a worker answered `at` (unix seconds) that it has so many slots.

    Of a worker that is known; of when it was heard this says nothing.
    """
    told: dict[str, tuple[Stamp, Field]] = {"slots": (Stamp(at, 0, 0), float(slots))}
    return Worker(hostname=hostname, last=Stamp(0.0, 0, 0), told=told)


def _skew(said: float | None, heard: float) -> float | None:
    if said is None:
        return None
    return round(min(max(said - heard, -MAX_SKEW), MAX_SKEW), 3)


Field = float | str | tuple[float, ...]


def _fields(raw: RawEvent) -> list[tuple[str, Field]]:
    fields: list[tuple[str, Field]] = []
    for key, most in (
        ("freq", MAX_FREQ),
        ("active", MAX_COUNT),
        ("processed", MAX_COUNT),
    ):
        value = number(raw.get(key))
        if value is not None and 0 <= value <= most:
            fields.append((key, value))
    if raw.get("type") == "worker-heartbeat" and "processed" not in raw:
        # The answer to a receiver's greeting names a rhythm that is not the
        # worker's own (celery/worker/control.py: heartbeat).
        fields = [(key, value) for key, value in fields if key != "freq"]
    load = raw.get("loadavg")
    if isinstance(load, list | tuple):
        numbers = [number(x) for x in load[:3]]  # pyright: ignore[reportUnknownVariableType,reportUnknownArgumentType]
        fields.append(("loadavg", tuple(x for x in numbers if x is not None)))
    name, version = raw.get("sw_ident"), raw.get("sw_ver")
    if isinstance(name, str) and name:
        words = f"{name} {version}" if isinstance(version, str) else name
        fields.append(("software", shorten(words, MAX_NAME)))
    return fields


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
    )
    return a if joined == a else joined


def _newer(a: Stamp | None, b: Stamp | None) -> Stamp | None:
    return max(a, b) if a and b else a or b


def _most(a: float | None, b: float | None) -> float | None:
    if a is None or b is None:
        return b if a is None else a
    return max(a, b)


def state_of(worker: Worker, now: float) -> str:
    """Return whether `worker` lives at `now` (unix seconds).

    By when it was heard: its clock may be minutes behind.
    """
    quiet = now - max(worker.heard, worker.last.at)
    if worker.offline and worker.offline >= worker.last:
        return DRAINING if quiet <= DRAIN_FOR else OFFLINE
    freq = _number(worker, "freq") or DEFAULT_FREQ
    return ONLINE if quiet <= SILENT_AFTER * freq else SILENT


def _said(worker: Worker, key: str) -> Field | None:
    """Return what this boot of `worker` said; counters of the one before are void."""
    stamp, value = worker.told.get(key, (worker.last, None))
    return None if worker.online and stamp < worker.online else value


def _number(worker: Worker, key: str) -> float | None:
    return number(_said(worker, key))


def _count(worker: Worker, key: str) -> int | None:
    value = _number(worker, key)
    return None if value is None else int(value)


def worker_image(worker: Worker, now: float, rev: str | None = None) -> WorkerImage:
    """Return `worker` as it is shown at `now`."""
    load = _said(worker, "loadavg")
    software = _said(worker, "software")
    heard = rfc3339(min(max(worker.heard, worker.last.at), now))
    return WorkerImage(
        id=worker.hostname,
        hostname=worker.hostname,
        state=state_of(worker, now),
        pid=worker.last.pid or None,
        active=_count(worker, "active"),
        slots=_count(worker, "slots"),
        processed=_count(worker, "processed"),
        loadavg=load if isinstance(load, tuple) else None,
        freq=_number(worker, "freq"),
        software=software if isinstance(software, str) else None,
        started_at=rfc3339(worker.online.at) if worker.online else None,
        last_heartbeat_at=heard,
        clock_skew_ms=None if worker.skew is None else round(worker.skew * 1000),
        updated_at=heard,
        rev=rev,
    )
