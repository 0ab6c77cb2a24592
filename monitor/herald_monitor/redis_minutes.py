"""Minutes on Redis: what a batch adds to them as words of the script, and reading."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from herald_monitor.minutes import (
    NAMES,
    QUEUES,
    Row,
    Sums,
    Table,
    asked_for,
    minutes_between,
    rollup,
    spots,
)
from herald_monitor.model.keys import Keys
from herald_monitor.model.rollups import Rollup
from herald_monitor.model.tally import Cell, Tally
from herald_monitor.redis_link import Link, Reply, Word
from herald_monitor.redis_texts import source_of

_pack = msgspec.msgpack.Encoder().encode
_row = msgspec.msgpack.Decoder(Row)

READ = 500
"""Minutes that are asked for at once."""


class MinuteWords:
    """What tallies come to as words: `keys`, `sums`, and `shares` of each record."""

    def __init__(self, tallies: Sequence[Tally], now: float, keys: Keys) -> None:
        sums = Sums(tallies, now)
        self._tables: dict[Table, int] = {}
        self._rows: dict[tuple[Table, str], int] = {}
        self._sums: list[tuple[int, str, Row]] = []
        numbered = {cell: i for i, cell in enumerate(sums.numbers, 1)}
        places = [self._add(cell, number) for cell, number in sums.numbers.items()]
        self.keys: list[Word] = [keys.minute(*table) for table in self._tables]
        self.sums: bytes = _pack(self._sums)
        self.shares: bytes = _pack((places, _shares(sums.by_record, numbered)))

    def _add(self, cell: Cell, number: int) -> list[tuple[int, str]]:
        """Add to the rows that `cell` counts in; return them with the code in each."""
        places: list[tuple[int, str]] = []
        for table, row, code in spots(cell):
            place = self._rows.get((table, row))
            if place is None:
                key = self._tables.setdefault(table, len(self._tables) + 1)
                self._sums.append((key, row, {}))
                place = self._rows[table, row] = len(self._sums)
            added = self._sums[place - 1][2]
            added[code] = added.get(code, 0) + number
            places.append((place, code))
        return places


def _shares(
    tallies: Sequence[Tally], numbered: dict[Cell, int]
) -> list[list[tuple[int, int]]]:
    # Records share tallies.
    shares = {
        id(tally): [(numbered[cell], n) for cell, n in tally.items()]
        for tally in {id(tally): tally for tally in tallies}.values()
    }
    return [shares[id(tally)] for tally in tallies]


class RedisMinutes:
    """The part of a `Reader` that tells what happened in each minute."""

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = keys

    async def rollups(
        self,
        since: float,
        until: float,
        *,
        name: str | None = None,
        queue: str | None = None,
        parts: bool = False,
    ) -> list[Rollup]:
        table, row = asked_for(name, queue)
        found: list[Rollup] = []
        minutes = minutes_between(since, until)
        for from_ in range(0, len(minutes), READ):
            asked = minutes[from_ : from_ + READ]
            rows = await self._tables(table, asked, row)
            told = [(at, one) for at, one in zip(asked, rows, strict=True) if one]
            names = await self._parts(NAMES, told, parts)
            queues = await self._parts(QUEUES, told, parts)
            found += [
                rollup(at, _row.decode(one), *of)
                for (at, one), *of in zip(told, names, queues, strict=True)
            ]
        return [one for one in found if one.counts]

    async def _parts(
        self, table: str, told: Sequence[tuple[int, bytes]], wanted: bool
    ) -> list[dict[str, Row]]:
        if not wanted or not told:
            return [{} for _ in told]
        replies = await self._tables(table, [at for at, _ in told])
        return [_rows(reply) for reply in replies]

    async def _tables(
        self, table: str, minutes: Sequence[int], *row: str
    ) -> list[Reply]:
        """Return a row, or all rows, of each minute: as one answer, not as many."""
        sha, source = source_of("rows.lua")
        keys = [self._keys.minute(table, at) for at in minutes]
        words: list[Word] = [len(keys), *keys, *row]
        found: list[Reply] = await self._link.script(sha, source, words)
        return found


def _rows(reply: Reply) -> dict[str, Row]:
    pairs = zip(reply[::2], reply[1::2], strict=True)
    return {name.decode(): _row.decode(row) for name, row in pairs}
