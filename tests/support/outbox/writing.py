"""Entries of the outbox as workers write them, for tests of its reader."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

import redis

from herald_worker.outbox.stream_format import DEFAULT_STREAM, EVENTS, WRITER
from tests.support.model.events import T0


def make_task_event(task_id: str, kind: str = "received", **more: object) -> object:
    """Return an event of a task as a worker sends it."""
    return {
        "type": f"task-{kind}",
        "uuid": task_id,
        "hostname": "w@h",
        "pid": 7,
        "clock": 3,
        "timestamp": T0,
        "utcoffset": 0,
        **more,
    }


def make_worker_event(kind: str = "heartbeat", **more: object) -> object:
    """Return an event of a worker that writes to the outbox."""
    return {
        "type": f"worker-{kind}",
        "hostname": "w@h",
        "pid": 7,
        "clock": 3,
        "timestamp": T0,
        "freq": 2.0,
        "outbox": True,
        **more,
    }


def write_entry(
    client: "redis.Redis",
    events: Sequence[object] | bytes,
    stream: str = DEFAULT_STREAM,
    fields: Mapping[str, object] | None = None,
) -> bytes:
    """Write a batch of events as a worker does; return the id of the entry."""
    body = events if isinstance(events, bytes) else json.dumps(events).encode()
    return cast(
        bytes,
        cast(Any, client).xadd(
            stream, {EVENTS: body, WRITER: "w@h/7", **(fields or {})}
        ),
    )


def write_tasks(
    client: "redis.Redis", ids: Sequence[str], stream: str = DEFAULT_STREAM
) -> list[bytes]:
    """Write an entry for each task; return their ids."""
    return [write_entry(client, [make_task_event(i)], stream) for i in ids]
