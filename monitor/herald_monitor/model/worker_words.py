"""What is told of a worker, by its events and by its answers. Pure."""

from __future__ import annotations

import math

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
from herald_monitor.model.workers import Field, Process, Stamp, Worker

KINDS = ("worker-online", "worker-heartbeat", "worker-offline")

MAX_FREQ = 3_600.0
MAX_COUNT = 1e12
MAX_SKEW = 1e9


def parse_worker(raw: RawEvent, heard: float) -> Worker | None:
    """Return what `raw` says of a worker, or None if it is of another kind.

    A worker says `worker-online` each time it has connected. Only as a new process it
    has accepted no task yet (`processed`; celery/worker/heartbeat.py: Heart._send).

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
    told = _fields(raw)
    counts = dict(told)
    at = math.ceil(heard)
    active, processed = counts.get("active"), counts.get("processed")
    counted = None
    if isinstance(active, float) and isinstance(processed, float):
        counted = (at, active, processed)
    return Worker(
        hostname=shorten(hostname, MAX_NAME),
        last=stamp,
        told={k: (stamp, v) for k, v in told},
        online=stamp if kind == "worker-online" and not processed else None,
        offline=stamp if kind == "worker-offline" else None,
        skew=_skew(number(raw.get("timestamp")), heard),
        heard=at,
        processes={stamp.pid: Process(at, at, counted)} if stamp.pid else {},
    )


def with_answer(
    hostname: str,
    at: float,
    *,
    slots: int | None = None,
    pool: str | None = None,
    processes: int | None = None,
) -> Worker:
    """Return that a worker answered a question `at` (unix seconds), and with what.

    `processes` is how many of its name answered.
    """
    stamp = Stamp(at, 0, 0)
    told: dict[str, tuple[Stamp, Field]] = {}
    if slots is not None:
        told["slots"] = (stamp, float(slots))
    if pool is not None:
        told["pool"] = (stamp, pool)
    if processes is not None:
        told["answers"] = (stamp, float(processes))
    nothing = Stamp(0.0, 0, 0)
    return Worker(hostname=hostname, last=nothing, told=told, answered=math.ceil(at))


def _skew(said: float | None, heard: float) -> float | None:
    if said is None:
        return None
    return round(min(max(said - heard, -MAX_SKEW), MAX_SKEW), 3)


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
