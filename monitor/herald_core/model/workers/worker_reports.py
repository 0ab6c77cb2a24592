"""The information about a worker in its events and answers. Pure."""

from __future__ import annotations

import math

from herald_core.errors import InvalidEvent
from herald_core.model.events.event import (
    MAX_CLOCK,
    MAX_NAME,
    MAX_SMALL,
    RawEvent,
    clamp_time,
    shorten,
    to_bounded_int,
    to_finite,
)
from herald_core.model.workers.worker import OUTBOX_FIELD
from herald_core.model.workers.worker_record import (
    FieldValue,
    LogicalTime,
    Worker,
    WorkerProcess,
)

WORKER_EVENT_KINDS = ("worker-online", "worker-heartbeat", "worker-offline")

MAX_FREQUENCY_S = 3_600.0
MAX_COUNT = 1e12
MAX_SKEW_S = 1e9
MAX_RELEASE_CHARS = 128


def parse_worker(raw: RawEvent, received_at: float) -> Worker | None:
    """Return the worker of the event `raw`, or None if it is of another kind.

    A worker sends `worker-online` after each connect. Only a new process has accepted
    no task yet (`processed`; celery/worker/heartbeat.py: Heart._send).

    Raises `InvalidEvent`.
    """
    kind = raw.get("type")
    if kind not in WORKER_EVENT_KINDS:
        return None
    hostname = raw.get("hostname")
    if not isinstance(hostname, str) or not hostname:
        raise InvalidEvent(f"{kind} without a hostname")
    stamp = LogicalTime(
        clamp_time(raw.get("timestamp"), received_at),
        to_bounded_int(raw.get("clock"), MAX_CLOCK) or 0,
        to_bounded_int(raw.get("pid"), MAX_SMALL) or 0,
    )
    fields = dict(_read_fields(raw))
    at = math.ceil(received_at)
    active, processed = fields.get("active"), fields.get("processed")
    counted = None
    if isinstance(active, float) and isinstance(processed, float):
        counted = (at, active, processed)
    return Worker(
        hostname=shorten(hostname, MAX_NAME),
        last=stamp,
        fields={key: (stamp, value) for key, value in fields.items()},
        online=stamp if kind == "worker-online" and not processed else None,
        offline=stamp if kind == "worker-offline" else None,
        skew=_compute_skew(to_finite(raw.get("timestamp")), received_at),
        received_at=at,
        processes={stamp.pid: WorkerProcess(at, at, counted)} if stamp.pid else {},
    )


def make_answered_worker(
    hostname: str,
    at: float,
    *,
    slots: int | None = None,
    pool: str | None = None,
    processes: int | None = None,
) -> Worker:
    """Return a worker that answered a question `at` (unix seconds), with its values.

    `processes` is the number of processes of its name that answered.
    """
    stamp = LogicalTime(at, 0, 0)
    fields: dict[str, tuple[LogicalTime, FieldValue]] = {}
    if slots is not None:
        fields["slots"] = (stamp, float(slots))
    if pool is not None:
        fields["pool"] = (stamp, pool)
    if processes is not None:
        fields["answers"] = (stamp, float(processes))
    no_event = LogicalTime(0.0, 0, 0)
    return Worker(
        hostname=hostname, last=no_event, fields=fields, answered=math.ceil(at)
    )


def _compute_skew(timestamp: float | None, received_at: float) -> float | None:
    if timestamp is None:
        return None
    return round(min(max(timestamp - received_at, -MAX_SKEW_S), MAX_SKEW_S), 3)


def _read_fields(raw: RawEvent) -> list[tuple[str, FieldValue]]:
    fields: list[tuple[str, FieldValue]] = []
    for key, limit in (
        ("freq", MAX_FREQUENCY_S),
        ("active", MAX_COUNT),
        ("processed", MAX_COUNT),
    ):
        value = to_finite(raw.get(key))
        if value is not None and 0 <= value <= limit:
            fields.append((key, value))
    if raw.get("type") == "worker-heartbeat" and "processed" not in raw:
        # The answer to a receiver's request names an interval that is not the
        # worker's own (celery/worker/control.py: heartbeat).
        fields = [(key, value) for key, value in fields if key != "freq"]
    if raw.get(OUTBOX_FIELD) is True:
        fields.append((OUTBOX_FIELD, 1.0))
    load = raw.get("loadavg")
    if isinstance(load, list | tuple):
        numbers = [to_finite(x) for x in load[:3]]  # pyright: ignore[reportUnknownVariableType,reportUnknownArgumentType]
        fields.append(("loadavg", tuple(x for x in numbers if x is not None)))
    name, version = raw.get("sw_ident"), raw.get("sw_ver")
    if isinstance(name, str) and name:
        words = f"{name} {version}" if isinstance(version, str) else name
        fields.append(("software", shorten(words, MAX_NAME)))
    release = raw.get("release")
    if isinstance(release, str) and release.strip():
        fields.append(("release", shorten(release.strip(), MAX_RELEASE_CHARS)))
    return fields
