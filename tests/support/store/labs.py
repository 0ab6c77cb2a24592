"""Stores under test, and the audit that every test ends with."""

import contextlib
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, cast
from uuid import uuid4

import redis

from herald_core.model.changes import GAP, TASK, WORKER, Change
from herald_core.model.codec import to_json
from herald_core.model.cursor import START, Cursor
from herald_core.model.events.event import Event
from herald_core.model.filters import Filter
from herald_core.model.tasks.views import TaskView
from herald_core.model.vector_cursor import VectorCursor
from herald_core.store.memory.store import MemoryStore
from herald_core.store.partitioned.routing import list_prefixes
from herald_core.store.partitioned.store import PartitionedStore
from herald_core.store.ports import Store
from herald_core.store.records import StoredRecord
from herald_core.store.redis.bitmaps import (
    CHUNK_BITS,
    SEGMENT_BITS,
    iter_set_bits,
    read_bitmap,
)
from herald_core.store.redis.encoding.stored_records import (
    decode_stored as stored_record,
)
from herald_core.store.redis.keys import BITMAP_INDEXES, BOUNDED_KEYS
from herald_core.store.redis.store import RedisStore

NOW = 1_800_000_000.0


def event(kind: str, task_id: str, clock: int = 1, **fields: Any) -> Event:
    """Return an event of one worker, a second later with each `clock`."""
    given = {"at": NOW + clock, "host": "w1@h", "pid": 7, "clock": clock, **fields}
    return Event(kind=kind, task_id=task_id, **cast(Any, given))


class Lab:
    """One place where stores may be opened; all of them share what is stored."""

    def __init__(self, url: str | None, parts: int = 1) -> None:
        self.url = url
        self.parts = parts
        self.prefix = f"{{test-{uuid4().hex}}}"
        self.prefixes = (
            list_prefixes(self.prefix, parts) if parts > 1 else [self.prefix]
        )
        self._memory: MemoryStore | None = None

    @property
    def on_redis(self) -> bool:
        return self.url is not None

    def make(self, **options: Any) -> Store:
        """Return a store that is not open yet.

        The store in memory has no index, so nothing in it is `apart`.
        """
        if self.url is None:
            options.pop("apart", None)
        if self.url is not None and self.parts > 1:
            return PartitionedStore(
                [
                    RedisStore(self.url, prefix=prefix, part=part, **options)
                    for part, prefix in enumerate(self.prefixes)
                ]
            )
        if self.url is not None:
            return RedisStore(self.url, prefix=self.prefix, **options)
        if self._memory is None:
            self._memory = MemoryStore(**options)
        return self._memory

    @contextlib.asynccontextmanager
    async def open(self, **options: Any) -> AsyncGenerator[Store]:
        """Open a store for the block, and audit it at the end."""
        store = self.make(**options)
        await store.open()
        try:
            yield store
            await self.audit(store)
        finally:
            await store.close()

    def client(self) -> "redis.Redis":
        """Return a plain client of the server; the caller closes it."""
        assert self.url is not None
        return redis.Redis.from_url(self.url)

    def fresh(self) -> "Lab":
        """Return an empty place on the same server."""
        return Lab(self.url, self.parts)

    async def audit(self, store: Store) -> None:
        """Compare records, indexes and log with each other."""
        history = [change async for change in all_changes(store)]
        await _audit_log(store, history)
        if self.url is not None:
            with self.client() as client:
                for prefix in self.prefixes:
                    _audit_keys(cast(Any, client), prefix)

    def clean(self) -> None:
        """Delete all that was stored here."""
        if self.url is not None:
            with self.client() as plain:
                client = cast(Any, plain)
                for prefix in self.prefixes:
                    for key in client.scan_iter(f"{prefix}:*", count=1000):
                        client.delete(key)


async def all_changes(store: Store, after: Cursor = START) -> AsyncIterator[Change]:
    """Yield each change in the log, checking that the log is dense."""
    while entries := await store.read_entries(after, limit=50):
        for entry in entries:
            if after != START:
                # Another epoch begins at its own 0.
                assert entry.cursor.is_next_after(after) or begins(entry.cursor, after)
            after = entry.cursor
            for change in entry.changes:
                assert change.place[0] == own(entry.cursor)
                yield change
    assert after in (await store.read_end(), START)


def own(cursor: Cursor) -> Cursor:
    """Return the place of an entry in the log that it lies in."""
    return cursor.parts[cursor.moved] if isinstance(cursor, VectorCursor) else cursor


def begins(cursor: Cursor, before: Cursor) -> bool:
    """Say whether another epoch begins at `cursor`."""
    if isinstance(cursor, VectorCursor) and isinstance(before, VectorCursor):
        last = before.parts[cursor.moved]
        return last == START or begins(own(cursor), last)
    return cursor.epoch > before.epoch and cursor.n == 0


async def _audit_log(store: Store, history: list[Change]) -> None:
    latest: dict[tuple[str, str], Change] = {}
    for change in history:
        before = latest.get((change.kind, change.id))
        assert before is None or before.place < change.place
        assert change.rev == f"{change.place[0]}.{change.place[1]}"
        latest[change.kind, change.id] = change
    tasks = {id_: change for (kind, id_), change in latest.items() if kind == TASK}
    stored = await store.get_tasks(list(tasks))
    for image, (id_, change) in zip(stored, tasks.items(), strict=True):
        if change.is_deletion:
            assert image is None, f"{id_} was announced as gone and is there"
        else:
            assert image is not None, f"{id_} was announced and is not there"
            assert to_json(image) == change.json
    living = {id_ for id_, change in tasks.items() if not change.is_deletion}
    assert {task.id for task in await walk(store, Filter())} >= living
    gaps = {gap.id: to_json(gap) for gap in await store.list_gaps()}
    for (kind, id_), change in latest.items():
        if kind == GAP:
            assert change.is_deletion == (id_ not in gaps)
            assert change.is_deletion or gaps[id_] == change.json
    hosts = {worker.id: worker for worker in await store.list_workers(now=NOW)}
    for (kind, id_), change in latest.items():
        if kind == WORKER:
            assert change.is_deletion == (id_ not in hosts)
            assert change.is_deletion or hosts[id_].rev == change.rev


def _audit_keys(client: Any, prefix: str) -> None:
    """Compare the records with the indexes, key by key."""
    keys = [key.decode() for key in client.scan_iter(f"{prefix}:*", count=1000)]
    for key in keys:
        assert client.ttl(key) > 0, f"{key} has no TTL"
    tasks = [key for key in keys if key.startswith(f"{prefix}:t2:")]
    known = [stored_record(TASK, client.get(key)) for key in tasks]
    assert [f"{prefix}:t2:{one.image.id}" for one in known] == tasks
    _audit_numbers(client, prefix, known)
    _audit_places(client, prefix, keys, known)
    if f"{prefix}:log" in keys:
        end = client.hget(f"{prefix}:meta", "end")
        assert client.xinfo_stream(f"{prefix}:log")["last-generated-id"] == end


def _audit_numbers(client: Any, prefix: str, known: list[StoredRecord]) -> None:
    """Every task has a number of its own, in time to be swept."""
    numbers = {one.number: one for one in known}
    assert len(numbers) == len(known)
    found: dict[int, str] = {}
    due = {int(s): at for s, at in client.zrange(f"{prefix}:due", 0, -1, withscores=1)}
    for segment, at in due.items():
        for place, id_ in client.hgetall(f"{prefix}:s:{segment}").items():
            number = segment * SEGMENT_BITS + int(place)
            found[number] = id_.decode()
            assert float(numbers[number].due_ms) >= at, "it would be swept too late"
    assert found == {number: str(one.image.id) for number, one in numbers.items()}
    chunks = {int(chunk) for chunk in client.hkeys(f"{prefix}:chunks")}
    assert chunks == {number // CHUNK_BITS for number in numbers}
    for number, one in numbers.items():
        within = client.hget(
            f"{prefix}:chunks:{number // CHUNK_BITS}", number // SEGMENT_BITS
        )
        earliest, latest = map(float, within.split())
        assert earliest <= float(one.first_seen_ms) <= latest


def _audit_places(
    client: Any, prefix: str, keys: list[str], known: list[StoredRecord]
) -> None:
    expected: dict[str, set[int]] = {}
    for one in known:
        number = one.number
        for place, value in one.terms:
            key = f"l:{place}:{value}"
            if place in BITMAP_INDEXES:
                key = f"x:{place}:{number // CHUNK_BITS}:{value}"
            expected.setdefault(f"{prefix}:{key}", set()).add(number % CHUNK_BITS)
    found = _others(client, prefix, keys)
    for key in keys:
        if not key.startswith((f"{prefix}:x:", f"{prefix}:l:")):
            continue
        kind, place, rest = key.removeprefix(f"{prefix}:").split(":", 2)
        if kind == "x":
            here = set(iter_set_bits(read_bitmap(client.get(key))))
            rest = rest.partition(":")[2]
        else:
            here = {int(number) % CHUNK_BITS for number in client.zrange(key, 0, -1)}
        assert here.isdisjoint(found.get(key, set())), "it is in both indexes"
        found.setdefault(key, set()).update(here)
        if place in BOUNDED_KEYS:
            assert client.zscore(f"{prefix}:v:{place}", rest), f"{key} is not listed"
    assert found == expected
    states = [value for one in known for key, value in one.terms if key == "state"]
    counts = {s.decode(): int(n) for s, n in client.hgetall(f"{prefix}:c").items()}
    assert {state: n for state, n in counts.items() if n} == Counter(states)


def _others(client: Any, prefix: str, keys: list[str]) -> dict[str, set[int]]:
    """Return the tasks of values that are not indexed apart, as if they were."""
    found: dict[str, set[int]] = {}
    chunks: dict[str, set[int]] = {}
    for key in keys:
        if not key.startswith(f"{prefix}:o:") or client.type(key) == b"set":
            continue
        place, chunk = key.removeprefix(f"{prefix}:o:").split(":")
        chunks.setdefault(place, set()).add(int(chunk))
        for member in client.zrange(key, 0, -1):
            value, number = member.decode().rsplit("\0", 1)
            apart = f"x:{place}:{chunk}:" if place in BITMAP_INDEXES else f"l:{place}:"
            found.setdefault(f"{prefix}:{apart}{value}", set()).add(int(number))
    for place in BOUNDED_KEYS:
        listed = set(map(int, client.smembers(f"{prefix}:o:{place}")))
        assert listed == chunks.get(place, set())
    return found


async def walk(
    store: Store, filter_: Filter, limit: int = 100, **bounds: float
) -> list[TaskView]:
    """Return the tasks of all pages."""
    tasks: list[TaskView] = []
    page: str | None = None
    while True:
        got = await store.list_tasks(
            filter_, limit=limit, page=page, **cast(Any, bounds)
        )
        assert len(got.tasks) <= limit
        tasks += got.tasks
        page = got.next
        if page is None:
            return tasks
