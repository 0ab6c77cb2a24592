"""The series of Prometheus on Redis: added up here, and stored twice a second.

They do not belong to the step that stores a task: a row costs Redis 9 µs, and a batch
touches dozens, which was a fifth of what storing an event costs. A writer that is
killed loses the additions of its last half second; one that is stopped loses none. An
addition whose answer is lost is repeated.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from contextlib import suppress

import msgspec

from herald_core.errors import StoreError
from herald_core.model.rollups.counter_delta import CounterDelta, CounterRules
from herald_core.store.redis.connection.client import RedisClient
from herald_core.store.redis.keys import RedisKeys
from herald_core.store.redis.lua.scripts import ALLOW_OOM_FLAG, load_script
from herald_core.store.task_counters import (
    OTHER_ROW,
    CounterBook,
    NumberRow,
    TaskCounter,
    make_task_counter,
    merge_rows,
)
from herald_core.system.cancellation import cancel_tasks

log = logging.getLogger(__name__)

FLUSH_S = 0.5
"""Seconds after which additions are stored."""

MAX_SCRIPT_ROWS = 1_000
"""Series in one script call, some 5 ms: other clients of the store wait so long."""

COUNTERS_TTL_S = 8 * 86_400
"""Seconds that the series outlive the last addition to any."""

_pack = msgspec.msgpack.Encoder().encode
_decode_row = msgspec.msgpack.Decoder(NumberRow).decode


class RedisTaskCounters:
    """Adds to the series, and reads them."""

    def __init__(
        self, client: RedisClient, keys: RedisKeys, rules: CounterRules
    ) -> None:
        self._client = client
        self._key = keys.counters
        self.rules = rules
        self._book = CounterBook()
        self._unstored: list[tuple[str, NumberRow]] = []
        self._now = 0.0
        self._flushing: asyncio.Task[None] | None = None

    def add(self, deltas: Iterable[CounterDelta | None], now: float) -> None:
        """Add what stored changes add; it is stored soon."""
        for one in deltas:
            if one is not None:
                self._book.add(one)
        self._now = max(self._now, now)
        if self._flushing is None and self._book:
            self._flushing = asyncio.create_task(self._flush_soon())

    async def _flush_soon(self) -> None:
        try:
            while self._book or self._unstored:
                await asyncio.sleep(FLUSH_S)
                try:
                    await self.flush()
                except StoreError as error:
                    log.debug("The counters are stored later: %s", error)
        finally:
            self._flushing = None

    async def flush(self) -> None:
        """Store all additions now. Raises `StoreError`; they are kept then."""
        rows = self._book.take()
        if self._unstored:
            rows, self._unstored = merge_rows(self._unstored, rows), []
        while rows:
            try:
                await self._add_rows(rows[:MAX_SCRIPT_ROWS])
            except BaseException:
                self._unstored = merge_rows(rows, self._unstored)
                raise
            rows = rows[MAX_SCRIPT_ROWS:]

    async def _add_rows(self, rows: Sequence[tuple[str, NumberRow]]) -> None:
        sha, source = load_script("add_counters.lua")
        words = (_pack(rows), self.rules.max_series, OTHER_ROW, int(self._now))
        await self._client.execute_script(
            sha, source, (1, self._key, *words, COUNTERS_TTL_S)
        )

    async def expire(self, now: float) -> None:
        """Delete the series without events for long."""
        until = int(now - self.rules.retention_s)
        sha, source = load_script("old_counters.lua", ALLOW_OOM_FLAG)
        await self._client.execute_script(sha, source, (1, self._key, until))

    async def read(self) -> list[TaskCounter]:
        """Return all series, with the additions of this process."""
        await self.flush()
        found = await self._client.execute("HGETALL", self._key)
        pairs = zip(found[::2], found[1::2], strict=True)
        return [make_task_counter(row, _decode_row(one)) for row, one in pairs]

    async def close(self) -> None:
        """Store what is left, if the store answers."""
        if self._flushing is not None:
            await cancel_tasks(self._flushing)
        with suppress(StoreError):
            await self.flush()
