"""Replay of the whole outbox into a store: for one that was flushed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, cast

import msgspec
from celery import Celery
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from herald_core.errors import HeraldError
from herald_core.store.ports import Writer
from herald_core.system.error_sentences import find_cause
from herald_monitor.celery_client.broker.connection import get_broker_name
from herald_monitor.ingest.buffer import EventBuffer
from herald_monitor.ingest.consumers.acks import Ack
from herald_monitor.ingest.consumers.envelope import decode_fast
from herald_monitor.ingest.outbox.entries import (
    decode_entry,
    find_dropped,
    parse_fields,
)
from herald_monitor.ingest.outbox.losses import describe_dropped
from herald_monitor.ingest.outbox.options import OutboxOptions, name_outbox
from herald_monitor.ingest.outbox.stream_connection import (
    RawRedisConnection,
    open_connection,
)
from herald_monitor.ingest.outbox.stream_info import parse_entry_id
from herald_monitor.ingest.parser import Counters
from herald_monitor.ingest.recorder import MAX_BATCH_EVENTS, Recorder

PAGE_ENTRIES = 200
OUTBOX_SETTING = "HERALD_OUTBOX_URL"


class OutboxUnreadable(HeraldError):
    """The Redis of the outbox does not answer, or refuses."""


class ReplayedEntries(msgspec.Struct):
    """What was replayed: entries, and the times of the first and the last (unix s)."""

    entries: int = 0
    since: float | None = None
    until: float | None = None

    def add(self, at: float) -> None:
        """Count an entry that arrived at a time."""
        self.entries += 1
        self.since = at if self.since is None else min(self.since, at)
        self.until = at if self.until is None else max(self.until, at)


class OutboxReplay:
    """Reads all entries that the streams hold, and stores their events.

    The consumer groups stay as they are. Merging is idempotent, so a monitor may store
    the same events meanwhile.
    """

    def __init__(
        self,
        app: Celery,
        options: OutboxOptions,
        writer: Writer,
        redact: Callable[[str], str],
    ) -> None:
        self.replayed = ReplayedEntries()
        self._app = app
        self._options = options
        self._buffer = EventBuffer()
        self._recorder = Recorder(self._buffer, writer, redact, "replay")

    @property
    def counters(self) -> Counters:
        """The number of events, in total and by kind."""
        return self._recorder.parser.counters

    @property
    def samples(self) -> list[str]:
        """The latest events that were set aside, and why."""
        return list(self._recorder.parser.samples)

    @property
    def name(self) -> str:
        """The address of the outbox, without a password."""
        return name_outbox(self._options, get_broker_name(self._app))

    async def run(self) -> None:
        """Replay all streams; return when all is stored. Raises `OutboxUnreadable`."""
        for stream in self._options.list_streams():
            try:
                async for entry_id, flat in self._iter_entries(stream):
                    self._put_entry(stream, entry_id, flat)
                    if self._buffer.waiting >= MAX_BATCH_EVENTS:
                        await self._recorder.drain()
            except (RedisError, KombuError, OSError) as error:
                cause = find_cause(error, OUTBOX_SETTING)
                raise OutboxUnreadable(
                    cause.format(f"the outbox at {self.name}")
                ) from error
        await self._recorder.drain()

    async def _iter_entries(
        self, stream: str
    ) -> AsyncGenerator[tuple[bytes, Sequence[bytes]]]:
        """Yield id and fields of the entries that the stream holds at first."""
        connection = await asyncio.to_thread(
            open_connection, self._app, self._options, stream
        )
        try:
            newest = await _fetch(connection, "XREVRANGE", stream, "+", "-", "COUNT", 1)
            begin, end = b"-", newest[0][0] if newest else b""
            while end:
                words = ("XRANGE", stream, begin, end, "COUNT", PAGE_ENTRIES)
                page = await _fetch(connection, *words)
                for entry_id, flat in page:
                    yield entry_id, flat
                if len(page) < PAGE_ENTRIES or page[-1][0] == end:
                    return
                begin = b"(" + page[-1][0]
        finally:
            connection.close()

    def _put_entry(self, stream: str, entry_id: bytes, flat: Sequence[bytes]) -> None:
        fields = parse_fields(flat)
        at = parse_entry_id(entry_id).ms / 1000
        self.replayed.add(at)
        if (dropped := find_dropped(fields)) is not None:
            loss = describe_dropped(stream, entry_id, dropped)
            self._recorder.open_gap(loss.since, loss.until, loss.reason, key=loss.key)
        quarantine = self._recorder.parser.quarantine
        if events := decode_entry(fields, decode_fast, quarantine):
            self._buffer.put_from_outbox(cast(Any, events), at, Ack())


async def _fetch(connection: RawRedisConnection, *words: str | bytes | int) -> Any:
    return await asyncio.to_thread(connection.execute, *words)
