"""Rollups on Redis: encoding as arguments of the script, and reading."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from herald_core.model.rollups.failure_rollup import FailureRollup
from herald_core.model.rollups.rollup import Rollup
from herald_core.model.rollups.rollup_delta import RollupCell, RollupDelta
from herald_core.store.redis.connection.client import RedisClient
from herald_core.store.redis.connection.pool import Reply, Word
from herald_core.store.redis.keys import RedisKeys
from herald_core.store.redis.lua.scripts import load_script
from herald_core.store.rollup_sums import (
    FAILURE_TABLE,
    NAME_TABLE,
    QUEUE_TABLE,
    RollupRow,
    RollupSums,
    RollupTable,
    list_counters,
    list_minutes,
    make_failure_rollup,
    make_rollup,
    select_row,
)

_pack = msgspec.msgpack.Encoder().encode
_row_decoder = msgspec.msgpack.Decoder(RollupRow)

READ_BATCH_MINUTES = 500
"""Minutes in one read."""


class RollupArguments:
    """Rollup deltas as script arguments: `keys`, `sums`, `shares` of each record."""

    def __init__(
        self, tallies: Sequence[RollupDelta], now: float, keys: RedisKeys
    ) -> None:
        sums = RollupSums(tallies, now)
        self._tables: dict[RollupTable, int] = {}
        self._rows: dict[tuple[RollupTable, str], int] = {}
        self._sums: list[tuple[int, str, RollupRow]] = []
        numbered = {cell: i for i, cell in enumerate(sums.numbers, 1)}
        places = [self._add(cell, number) for cell, number in sums.numbers.items()]
        self.keys: list[Word] = [keys.make_minute(*table) for table in self._tables]
        self.sums: bytes = _pack(self._sums)
        # Most records share a few tallies.
        shares = {
            id(tally): [(numbered[cell], n) for cell, n in tally.items()]
            for tally in {id(tally): tally for tally in sums.by_record}.values()
        }
        by_record = [shares[id(tally)] for tally in sums.by_record]
        self.shares: bytes = _pack((places, by_record))

    def _add(self, cell: RollupCell, number: int) -> list[tuple[int, str]]:
        """Add to the rows that `cell` counts in; return them with the code in each."""
        places: list[tuple[int, str]] = []
        for table, row, code in list_counters(cell):
            place = self._rows.get((table, row))
            if place is None:
                key = self._tables.setdefault(table, len(self._tables) + 1)
                self._sums.append((key, row, {}))
                place = self._rows[table, row] = len(self._sums)
            added = self._sums[place - 1][2]
            added[code] = added.get(code, 0) + number
            places.append((place, code))
        return places


class RedisRollups:
    """The part of a `TaskReader` that reads rollups."""

    def __init__(self, link: RedisClient, keys: RedisKeys) -> None:
        self._client = link
        self._keys = keys

    async def read_rollups(
        self,
        since: float,
        until: float,
        *,
        name: str | None = None,
        queue: str | None = None,
        parts: bool = False,
    ) -> list[Rollup]:
        table, row = select_row(name, queue)
        found: list[Rollup] = []
        minutes = list_minutes(since, until)
        for from_ in range(0, len(minutes), READ_BATCH_MINUTES):
            part = minutes[from_ : from_ + READ_BATCH_MINUTES]
            rows = await self._read_tables(table, part, row)
            stored = [(at, one) for at, one in zip(part, rows, strict=True) if one]
            names = await self._read_parts(NAME_TABLE, stored, parts)
            queues = await self._read_parts(QUEUE_TABLE, stored, parts)
            found += [
                make_rollup(at, _row_decoder.decode(one), *of)
                for (at, one), *of in zip(stored, names, queues, strict=True)
            ]
        return [one for one in found if one.counts]

    async def read_failure_rollups(
        self, since: float, until: float
    ) -> list[FailureRollup]:
        found: list[FailureRollup] = []
        minutes = list_minutes(since, until)
        for from_ in range(0, len(minutes), READ_BATCH_MINUTES):
            part = minutes[from_ : from_ + READ_BATCH_MINUTES]
            replies = await self._read_tables(FAILURE_TABLE, part)
            found += [
                make_failure_rollup(at, _decode_rows(reply))
                for at, reply in zip(part, replies, strict=True)
                if reply
            ]
        return [one for one in found if one.counts]

    async def _read_parts(
        self, table: str, stored: Sequence[tuple[int, bytes]], wanted: bool
    ) -> list[dict[str, RollupRow]]:
        if not wanted or not stored:
            return [{} for _ in stored]
        replies = await self._read_tables(table, [at for at, _ in stored])
        return [_decode_rows(reply) for reply in replies]

    async def _read_tables(
        self, table: str, minutes: Sequence[int], *row: str
    ) -> list[Reply]:
        """Return a row, or all rows, of each minute: as one answer, not as many."""
        sha, source = load_script("rollup_rows.lua")
        keys = [self._keys.make_minute(table, at) for at in minutes]
        words: list[Word] = [len(keys), *keys, *row]
        found: list[Reply] = await self._client.execute_script(sha, source, words)
        return found


def _decode_rows(reply: Reply) -> dict[str, RollupRow]:
    pairs = zip(reply[::2], reply[1::2], strict=True)
    return {name.decode(): _row_decoder.decode(row) for name, row in pairs}
