"""What is known of a worker, joined like a task; whether it lives is read off.

A worker is named by its hostname; each boot (pid) starts its counters anew.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from herald_monitor.errors import BadEvent
from herald_monitor.model.events import MAX_NAME, RawEvent, moment, number, shorten
from herald_monitor.model.shape import rfc3339

KINDS = ("worker-online", "worker-heartbeat", "worker-offline")

ONLINE = "online"
DRAINING = "draining"
SILENT = "silent"
OFFLINE = "offline"

DEFAULT_FREQ = 2.0
"""Celery's heartbeat interval in seconds (celery/worker/heartbeat.py)."""

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


class WorkerImage(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False
):
    """A worker as it is shown. `id` is its hostname."""

    id: str
    hostname: str
    state: str
    pid: int | None = None
    active: int | None = None
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
        _int(raw.get("clock")),
        _int(raw.get("pid")),
    )
    said = number(raw.get("timestamp"))
    return Worker(
        hostname=shorten(hostname, MAX_NAME),
        last=stamp,
        told={k: (stamp, v) for k, v in _fields(raw)},
        online=stamp if kind == "worker-online" else None,
        offline=stamp if kind == "worker-offline" else None,
        skew=None if said is None else said - heard,
    )


def _fields(raw: RawEvent) -> list[tuple[str, float | str | tuple[float, ...]]]:
    fields: list[tuple[str, float | str | tuple[float, ...]]] = []
    for key in ("freq", "active", "processed"):
        value = number(raw.get(key))
        if value is not None and value >= 0:
            fields.append((key, value))
    load = raw.get("loadavg")
    if isinstance(load, list | tuple):
        numbers = [number(x) for x in load[:3]]  # pyright: ignore[reportUnknownVariableType,reportUnknownArgumentType]
        fields.append(("loadavg", tuple(x for x in numbers if x is not None)))
    if raw.get("sw_ident"):
        words = f"{raw.get('sw_ident')} {raw.get('sw_ver') or ''}".strip()
        fields.append(("software", shorten(words, MAX_NAME)))
    return fields


def _int(value: object) -> int:
    return value if isinstance(value, int) and 0 <= value < 1 << 63 else 0


def join_workers(a: Worker, b: Worker) -> Worker:
    """Return all that `a` and `b` know of one worker."""
    told = dict(a.told)
    for key, (stamp, value) in b.told.items():
        if key not in told or (stamp, repr(value)) > (told[key][0], repr(told[key][1])):
            told[key] = (stamp, value)
    return Worker(
        hostname=a.hostname,
        last=max(a.last, b.last),
        told=told,
        online=_newer(a.online, b.online),
        offline=_newer(a.offline, b.offline),
        skew=_most(a.skew, b.skew),
    )


def _newer(a: Stamp | None, b: Stamp | None) -> Stamp | None:
    return max(a, b) if a and b else a or b


def _most(a: float | None, b: float | None) -> float | None:
    if a is None or b is None:
        return b if a is None else a
    return max(a, b)


def state_of(worker: Worker, now: float) -> str:
    """Return whether `worker` lives at `now` (unix seconds)."""
    quiet = now - worker.last.at
    if worker.offline and worker.offline >= worker.last:
        return DRAINING if quiet <= DRAIN_FOR else OFFLINE
    freq = _number(worker.told, "freq") or DEFAULT_FREQ
    return ONLINE if quiet <= SILENT_AFTER * freq else SILENT


def _number(told: Mapping[str, tuple[Stamp, object]], key: str) -> float | None:
    return number(told[key][1]) if key in told else None


def worker_image(worker: Worker, now: float, rev: str | None = None) -> WorkerImage:
    """Return `worker` as it is shown at `now`."""
    told = worker.told
    counts = {key: _number(told, key) for key in ("active", "processed")}
    load = told["loadavg"][1] if "loadavg" in told else None
    return WorkerImage(
        id=worker.hostname,
        hostname=worker.hostname,
        state=state_of(worker, now),
        pid=worker.last.pid or None,
        active=None if counts["active"] is None else int(counts["active"]),
        processed=None if counts["processed"] is None else int(counts["processed"]),
        loadavg=tuple(load) if isinstance(load, list | tuple) else None,
        freq=_number(told, "freq"),
        software=str(told["software"][1]) if "software" in told else None,
        started_at=rfc3339(worker.online.at) if worker.online else None,
        last_heartbeat_at=rfc3339(worker.last.at),
        clock_skew_ms=None if worker.skew is None else round(worker.skew * 1000),
        updated_at=rfc3339(worker.last.at),
        rev=rev,
    )
