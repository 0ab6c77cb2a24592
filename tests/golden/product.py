"""The parts of Herald that these tests reach into, each imported here only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from starlette.applications import Starlette

from herald_core.model.changes import Change
from herald_core.model.cursor import START, parse_cursor
from herald_core.model.events.event import Event, parse_event
from herald_core.model.filters import parse_filter
from herald_core.model.gaps import Gap
from herald_core.model.monitors import MonitorView
from herald_core.model.tasks.views import TaskView
from herald_core.model.workers.queue import QueueView
from herald_core.model.workers.worker_record import Worker
from herald_core.model.workers.worker_reports import parse_worker
from herald_core.store.redis.encoding.record_codec import decode_record_body
from herald_core.store.redis.store import RedisStore
from herald_server.alerts.keeper import LEASE_NAME as ALERTS_LEASE
from herald_server.auth.quotas import close_codes as codes
from herald_server.auth.tokens.static import read_tokens
from herald_server.catalog.toml import read_catalog
from herald_server.cli.main import cli
from herald_server.push.connection.sender import Timeouts
from herald_server.push.protocol.limits import Limits
from herald_server.webhooks.toml import read_endpoints
from herald_server.wiring.settings import ServerSettings

__all__ = [
    "ALERTS_LEASE",
    "START",
    "Event",
    "Gap",
    "Limits",
    "MonitorView",
    "QueueView",
    "RedisStore",
    "ServerSettings",
    "TaskView",
    "Timeouts",
    "change_fields",
    "cli",
    "close_codes",
    "decode_body",
    "log_position",
    "parse_cursor",
    "parse_events",
    "parse_filter",
    "read_catalog",
    "read_endpoints",
    "read_tokens",
]


def parse_events(
    raw: Iterable[Mapping[str, object]], heard: float
) -> tuple[list[Event], list[Worker]]:
    """Return what raw events tell of tasks and of workers."""
    events: list[Event] = []
    workers: list[Worker] = []
    for one in raw:
        if (event := parse_event(one, heard)) is not None:
            events.append(event)
        elif (worker := parse_worker(one, heard)) is not None:
            workers.append(worker)
    return events, workers


def close_codes() -> list[int]:
    """Return the codes with which a server closes WebSockets."""
    numbers = [one for one in vars(codes).values() if isinstance(one, int)]
    return sorted({one for one in numbers if 1_000 <= one < 5_000})


def decode_body(stored: bytes) -> Any:
    """Return the record in `FLAG BODY` as plain values."""
    return decode_record_body(stored, msgspec.msgpack.Decoder())


def change_fields(change: Change) -> dict[str, Any]:
    """Return a change of the log as plain values."""
    before = msgspec.to_builtins(change.before)
    return {
        "kind": change.kind,
        "id": change.id,
        "rev": change.rev,
        "json": change.json.decode(),
        "before": before,
    }


def log_position(app: Starlette) -> str:
    """Return the cursor up to which a server has read the log."""
    return str(app.state.shared.hub.pos)
