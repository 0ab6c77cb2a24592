"""The parts of Herald that these tests reach into, each imported here only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from starlette.applications import Starlette

from herald_monitor.model.changes import Change
from herald_monitor.model.cursor import START, parse_cursor
from herald_monitor.model.events import Event, parse
from herald_monitor.model.filters import parse_filter
from herald_monitor.model.queues import QueueImage
from herald_monitor.model.shape import TaskImage
from herald_monitor.model.worker_words import parse_worker
from herald_monitor.model.workers import Worker
from herald_monitor.records import unpack_body
from herald_monitor.redis_store import RedisStore
from herald_monitor.store import Gap, MonitorImage
from herald_server import limits
from herald_server.catalog_toml import read_catalog
from herald_server.cli import cli
from herald_server.config import ServerSettings
from herald_server.limits import Limits
from herald_server.telling import Patience
from herald_server.tokens.static import read_tokens
from herald_server.webhooks.toml import read_endpoints

__all__ = [
    "START",
    "Event",
    "Gap",
    "Limits",
    "MonitorImage",
    "Patience",
    "QueueImage",
    "RedisStore",
    "ServerSettings",
    "TaskImage",
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
        if (event := parse(one, heard)) is not None:
            events.append(event)
        elif (worker := parse_worker(one, heard)) is not None:
            workers.append(worker)
    return events, workers


def close_codes() -> list[int]:
    """Return the codes with which a server closes WebSockets."""
    numbers = [one for one in vars(limits).values() if isinstance(one, int)]
    return sorted({one for one in numbers if 1_000 <= one < 5_000})


def decode_body(stored: bytes) -> Any:
    """Return the record in `FLAG BODY` as plain values."""
    return unpack_body(stored, msgspec.msgpack.Decoder())


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
