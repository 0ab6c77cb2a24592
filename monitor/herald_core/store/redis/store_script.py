"""The binding of `store.lua`: its arguments, and its results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import msgspec

from herald_core.model.changes import TASK
from herald_core.model.cursor import START, Cursor, parse_cursor
from herald_core.model.index_limits import IndexLimits
from herald_core.model.rollups.counter_delta import DEFAULT_COUNTER_RULES, CounterRules
from herald_core.model.rollups.rollup import MAX_PARTS, OTHER_PART, ROLLUP_RETENTION_S
from herald_core.model.workers.worker import FORGET_AFTER_S
from herald_core.store.index_terms import NO_NUMBER
from herald_core.store.records import IndexTerm, RecordKey, StoredRecord, to_ms
from herald_core.store.redis.connection.client import RedisClient
from herald_core.store.redis.connection.pool import Word
from herald_core.store.redis.encoding.updates import EncodedUpdate
from herald_core.store.redis.index_updates import (
    IndexChange,
    collect_index_changes,
    encode_index_changes,
    list_index_values,
)
from herald_core.store.redis.keys import BOUNDED_KEYS, DEFAULT_INDEX_LIMITS, RedisKeys
from herald_core.store.redis.lua.scripts import ALLOW_OOM_FLAG, load_script
from herald_core.store.redis.rollups import RollupArguments

MAX_EXPIRED_IDS = 100_000
"""Ids that are remembered as expired."""

ROLLUP_TTL_S = ROLLUP_RETENTION_S + 3_600
"""Seconds that a minute outlives what was last added to it."""

NO_TASK_NUMBER = -2
"""The script's number argument of a record that is no task."""

BOOKMARK_ALWAYS = ""
BOOKMARK_NEVER = "-"


_pack = msgspec.msgpack.Encoder().encode


@dataclass(frozen=True)
class Retention:
    """The limits of stored data: seconds, entries of the log, bytes of the log."""

    retention_s: float
    unfinished_s: float
    length: int
    size: int
    workers_s: float = FORGET_AFTER_S
    slack_s: float = 86_400.0
    """Seconds that a record outlives its time, so that a sweep announces its end."""
    index_limits: IndexLimits = DEFAULT_INDEX_LIMITS
    counters: CounterRules = DEFAULT_COUNTER_RULES

    @cached_property
    def max_ttl_s(self) -> int:
        """Seconds that no record outlives."""
        return int(
            max(self.retention_s, self.unfinished_s, self.workers_s) + self.slack_s
        )


@dataclass
class ScriptResult:
    """The result of a script. `refused` are updates on which another writer was faster.

    `records` is the stored data; of finished tasks as bytes.
    """

    end: Cursor
    has_opened: bool
    changes: int = 0
    records: dict[RecordKey, StoredRecord | bytes] = field(
        default_factory=dict[RecordKey, StoredRecord | bytes]
    )
    refused: list[RecordKey] = field(default_factory=list[RecordKey])


class StoreScript:
    """Runs the script against one store."""

    def __init__(self, link: RedisClient, keys: RedisKeys, bounds: Retention) -> None:
        self._link = link
        self._keys = keys
        self._retention = bounds

    async def run(
        self,
        drafts: Sequence[EncodedUpdate],
        commands: Sequence[Sequence[Word]] = (),
        bookmark: str = BOOKMARK_NEVER,
        *,
        now: float,
        allow_oom: bool = False,
    ) -> ScriptResult:
        """Store `drafts` in one step, then run `commands` in the same."""
        words = self.make_argv(drafts, commands, bookmark, now=now)
        return await self.execute(drafts, words, allow_oom=allow_oom)

    async def execute(
        self,
        drafts: Sequence[EncodedUpdate],
        words: Sequence[Word],
        *,
        allow_oom: bool = False,
    ) -> ScriptResult:
        """Run the script with the arguments `words` for `drafts`."""
        # A deletion must work in a full store: it frees memory.
        sha, source = load_script("store.lua", ALLOW_OOM_FLAG if allow_oom else "")
        end, opened, first, *refused = await self._link.execute_script(
            sha, source, words
        )
        cursor = parse_cursor(end.decode()) if end else START
        out = ScriptResult(cursor, bool(opened))
        return _fill_result(out, drafts, int(first), {int(n) - 1 for n in refused})

    def make_argv(
        self,
        drafts: Sequence[EncodedUpdate],
        commands: Sequence[Sequence[Word]] = (),
        bookmark: str = BOOKMARK_NEVER,
        *,
        now: float,
    ) -> list[Word]:
        """Return the script's arguments that store `drafts`."""
        keys, bounds = self._keys, self._retention
        minutes = RollupArguments([one.rollup_delta for one in drafts], now, keys)
        names: list[Word] = [
            keys.meta,
            keys.log,
            keys.marks,
            keys.due,
            keys.expired_ids,
        ]
        names += [keys.seq, keys.chunks, keys.counts]
        names += minutes.keys
        words: list[Word] = [len(names), *names]
        words += (bounds.length, bounds.size, bounds.max_ttl_s, bounds.max_ttl_s)
        words += (bookmark, len(drafts), keys.segments, MAX_EXPIRED_IDS)
        moves = collect_index_changes(drafts)
        words.append(encode_index_changes(moves, drafts, keys, bounds.index_limits))
        words += (MAX_PARTS + 1, OTHER_PART, ROLLUP_TTL_S, minutes.sums, minutes.shares)
        words += (to_ms(now), self._encode_records(drafts))
        words.append(encode_raw_array([one.field for one in drafts]))
        words.append(encode_raw_array([one.body for one in drafts]))
        for command in (*self._list_value_commands(moves, now), *commands):
            words += (len(command), *command)
        return words

    def _list_value_commands(
        self, moves: Mapping[IndexTerm, IndexChange], now: float
    ) -> list[list[Word]]:
        """Return the commands that date the values of index keys."""
        commands: list[list[Word]] = []
        for kind, values in list_index_values(moves).items():
            key = self._keys.make_values(kind)
            pairs = [word for value in values for word in (repr(now), value)]
            # Whether a value of a bounded key is listed, the script has decided.
            only = ["XX"] if kind in BOUNDED_KEYS else []
            commands.append(["ZADD", key, *only, *pairs])
            commands.append(["EXPIRE", key, self._retention.max_ttl_s])
        return commands

    def _encode_records(self, drafts: Sequence[EncodedUpdate]) -> bytes:
        """Return the short columns of the records, as `lua/store.lua` reads them."""
        shapes: dict[tuple[str, int, str], int] = {}
        shape_places: list[int] = []
        revs: dict[int, str] = {}
        numbers: dict[int, int] = {}
        for at, one in enumerate(drafts, 1):
            kind = one.key[0]
            shape = (kind, one.ttl, one.due_ms)
            shape_places.append(shapes.setdefault(shape, len(shapes) + 1))
            if one.old_rev:
                revs[at] = one.old_rev
            if kind != TASK:
                numbers[at] = NO_TASK_NUMBER
            elif one.number != NO_NUMBER:
                numbers[at] = one.number
        make_key = self._keys.make_record
        heads = [(make_key(kind, ""), ttl, due) for kind, ttl, due in shapes]
        ids = [one.key[1] for one in drafts]
        return _pack((heads, shape_places, ids, revs, numbers))


def encode_raw_array(values: Sequence[bytes]) -> bytes:
    """Return a MessagePack array of bytes as Lua's `cmsgpack` reads it.

    It is older than the type for bytes, and takes those of text for any.
    """
    sizes = map(_make_raw_header, map(len, values))
    words = [word for pair in zip(sizes, values, strict=True) for word in pair]
    return b"".join((b"\xdd", len(values).to_bytes(4, "big"), *words))


@lru_cache(maxsize=4096)
def _make_raw_header(size: int) -> bytes:
    """Return what MessagePack writes before a text of so many bytes."""
    if size < 1 << 16:
        return b"\xda" + size.to_bytes(2, "big")
    return b"\xdb" + size.to_bytes(4, "big")


def _fill_result(
    out: ScriptResult, drafts: Sequence[EncodedUpdate], first: int, refused: set[int]
) -> ScriptResult:
    """Return `out` with the results of `drafts`; `first` is the next new number."""
    place, rank = str(out.end), 0
    for at, one in enumerate(drafts):
        if at in refused:
            out.refused.append(one.key)
            continue
        number = one.number
        if number == NO_NUMBER and one.key[0] == TASK:
            number, first = first, first + 1
        if not one.is_long:
            out.records[one.key] = one.to_cache_entry(f"{place}.{rank}", number)
        if one.field:
            rank += 1
    out.changes = rank
    return out
