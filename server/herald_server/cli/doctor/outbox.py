"""Check the outbox: its Redis, its streams, our rights there, and who writes to it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import msgspec
from celery import Celery
from redis.exceptions import NoPermissionError, ResponseError

from herald_core.model.events.event import to_finite
from herald_monitor.celery_client.broker.connection import get_broker_name
from herald_monitor.ingest.outbox.options import OutboxOptions, name_outbox
from herald_monitor.ingest.outbox.stream_connection import (
    RawRedisConnection,
    open_connection,
)
from herald_monitor.ingest.outbox.stream_info import (
    StreamInfo,
    count_unread,
    parse_entry_id,
    parse_stream_info,
)
from herald_server.cli.doctor.broker import describe_redis
from herald_server.cli.doctor.report import (
    Heartbeat,
    OutboxFacts,
    StreamFacts,
    merge_heartbeat,
)
from herald_worker.outbox.stream_format import EVENTS, FROM_OUTBOX

BEATS_MS = 10_000
"""Milliseconds of the stream that are read for heartbeats: one comes every 2 s."""

MAX_BYTES_READ = 32 * 1024 * 1024
PAGE_ENTRIES = 100

Command = tuple[str | int, ...]


def ask_outbox(app: Celery, options: OutboxOptions) -> OutboxFacts:
    """Return what there is of the outbox. Raises the errors of its library."""
    found: list[StreamFacts] = []
    beats: dict[str, Heartbeat] = {}
    missing: set[str] = set()
    server: Mapping[str, str] | None = None
    for number, stream in enumerate(options.list_streams()):
        connection = open_connection(app, options, stream)
        try:
            missing |= _find_missing_rights(connection, f"{stream}:doctor")
            info = None if missing else _ask_stream(connection, stream)
            found.append(make_stream_facts(stream, info, options.group))
            if number == 0:
                server = _read_server(connection)
                beats = _read_heartbeats(connection, stream, info) if info else {}
        finally:
            connection.close()
    place = name_outbox(options, get_broker_name(app))
    return OutboxFacts(
        describe_redis(place, server), tuple(found), tuple(sorted(missing)), beats
    )


def _find_missing_rights(connection: RawRedisConnection, key: str) -> set[str]:
    """Return the commands of a monitor that are not allowed; `key` does not exist."""
    group = "herald-doctor"
    asked: list[Command] = [
        ("XINFO", "STREAM", key, "FULL", "COUNT", 1),
        ("XGROUP", "CREATE", key, group, "0"),
        ("XREAD", "COUNT", 1, "STREAMS", key, "0"),
        ("XREADGROUP", "GROUP", group, group, "COUNT", 1, "STREAMS", key, ">"),
        ("XACK", key, group, "0-0"),
        ("XPENDING", key, group),
        ("XCLAIM", key, group, group, 0, "0-0"),
        ("XRANGE", key, "-", "+", "COUNT", 1),
        ("XTRIM", key, "MINID", "0"),
    ]
    replies = connection.execute_many(asked)
    return {
        str(command[0])
        for command, reply in zip(asked, replies, strict=True)
        if _is_refused(reply)
    }


def _is_refused(reply: object) -> bool:
    return isinstance(reply, NoPermissionError) or (
        isinstance(reply, ResponseError) and "NOPERM" in str(reply)
    )


def _ask_stream(connection: RawRedisConnection, name: str) -> StreamInfo | None:
    """Return what Redis knows of a stream; None if there is none."""
    try:
        told = connection.execute("XINFO", "STREAM", name, "FULL", "COUNT", 1)
    except ResponseError:
        return None
    return parse_stream_info(told)


def make_stream_facts(name: str, info: StreamInfo | None, group: str) -> StreamFacts:
    """Return the facts of a stream, as `group` reads it."""
    if info is None:
        return StreamFacts(name)
    own = info.get_group(group)
    if own is None:
        return StreamFacts(name, exists=True, entries=info.length)
    unread_s = (info.last.ms - own.delivered.ms) / 1000
    return StreamFacts(
        name,
        exists=True,
        entries=info.length,
        has_group=True,
        unread=count_unread(info, own),
        pending=own.pending,
        behind_s=unread_s if own.delivered < info.last else 0.0,
    )


def _read_server(connection: RawRedisConnection) -> Mapping[str, str] | None:
    """Return what INFO tells; None if it is not allowed."""
    reply = connection.execute_many([("INFO",)])[0]
    if not isinstance(reply, bytes):
        return None
    lines = reply.decode("utf-8", "replace").splitlines()
    pairs = (line.partition(":") for line in lines if ":" in line)
    return {name: value for name, _, value in pairs}


# -- who writes ----------------------------------------------------------------------


def _read_heartbeats(
    connection: RawRedisConnection, stream: str, info: StreamInfo
) -> dict[str, Heartbeat]:
    """Return the newest heartbeats in the stream, by hostname."""
    found: dict[str, Heartbeat] = {}
    offset = _measure_clock(connection)
    for entry_id, fields in _iter_newest(connection, stream, info.last.ms - BEATS_MS):
        written = parse_entry_id(entry_id).ms / 1000
        for event in _iter_worker_events(fields):
            at, host = to_finite(event.get("timestamp")), event.get("hostname")
            if at is not None and isinstance(host, str):
                skew = at - written + offset
                found[host] = merge_heartbeat(found.get(host), event, skew)
    return found


def _measure_clock(connection: RawRedisConnection) -> float:
    """Return by how many seconds the clock of Redis is ahead of ours; 0 if unknown."""
    now = time.time()
    reply = connection.execute_many([("TIME",)])[0]
    if isinstance(reply, Exception):
        return 0.0
    seconds, micros = cast(Sequence[bytes], reply)
    return int(seconds) + int(micros) / 1e6 - (now + time.time()) / 2


def _iter_newest(
    connection: RawRedisConnection, stream: str, since_ms: int
) -> Iterator[tuple[bytes, Sequence[bytes]]]:
    """Yield entries of the stream since a time, up to `MAX_BYTES_READ`."""
    first, size = str(since_ms), 0
    while size < MAX_BYTES_READ:
        words: Command = ("XRANGE", stream, first, "+", "COUNT", PAGE_ENTRIES)
        page = connection.execute_many([words])[0]
        if isinstance(page, Exception) or not page:
            return
        for entry_id, fields in cast(list[Any], page):
            size += sum(map(len, fields))
            yield entry_id, fields
        first = "(" + page[-1][0].decode()


def _iter_worker_events(fields: Sequence[bytes]) -> Iterator[Mapping[str, object]]:
    told = dict(zip(fields[::2], fields[1::2], strict=False))
    events = told.get(EVENTS.encode(), b"")
    if f'"{FROM_OUTBOX}"'.encode() not in events:
        return
    try:
        decoded = msgspec.json.decode(events, type=list[dict[str, object]])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return
    for event in decoded:
        if event.get(FROM_OUTBOX) is True:
            yield event
