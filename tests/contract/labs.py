"""Stores under test, and the audit that every test ends with."""

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, cast
from uuid import uuid4

import redis

from herald_monitor.memory import MemoryStore
from herald_monitor.model.changes import GAP, TASK, WORKER, Change
from herald_monitor.model.codec import to_json
from herald_monitor.model.cursor import START, Cursor
from herald_monitor.model.events import Event
from herald_monitor.model.filters import Filter
from herald_monitor.model.shape import TaskImage
from herald_monitor.redis_records import known as stored_record
from herald_monitor.redis_store import RedisStore
from herald_monitor.store import Store

NOW = 1_800_000_000.0


def event(kind: str, task_id: str, clock: int = 1, **fields: Any) -> Event:
    """Return an event of one worker, a second later with each `clock`."""
    given = {"at": NOW + clock, "host": "w1@h", "pid": 7, "clock": clock, **fields}
    return Event(kind=kind, task_id=task_id, **cast(Any, given))


class Lab:
    """One place where stores may be opened; all of them share what is stored."""

    def __init__(self, url: str | None) -> None:
        self.url = url
        self.prefix = f"{{test-{uuid4().hex}}}"
        self._memory: MemoryStore | None = None

    @property
    def on_redis(self) -> bool:
        return self.url is not None

    def make(self, **options: Any) -> Store:
        """Return a store that is not open yet."""
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
        return Lab(self.url)

    async def audit(self, store: Store) -> None:
        """Compare records, indexes and log with each other."""
        history = [change async for change in all_changes(store)]
        await _audit_log(store, history)
        if self.url is not None:
            with self.client() as client:
                _audit_keys(cast(Any, client), self.prefix)

    def clean(self) -> None:
        """Delete all that was stored here."""
        if self.url is not None:
            with self.client() as plain:
                client = cast(Any, plain)
                for key in client.scan_iter(f"{self.prefix}:*", count=1000):
                    client.delete(key)


async def all_changes(store: Store, after: Cursor = START) -> AsyncIterator[Change]:
    """Yield each change in the log, checking that the log is dense."""
    while entries := await store.read(after, most=50):
        for entry in entries:
            if after != START:
                # Another epoch begins at its own 0.
                assert entry.cursor.follows(after) or (
                    entry.cursor.epoch > after.epoch and entry.cursor.n == 0
                )
            after = entry.cursor
            for change in entry.changes:
                assert change.place[0] == entry.cursor
                yield change
    assert after in (await store.end(), START)


async def _audit_log(store: Store, history: list[Change]) -> None:
    latest: dict[tuple[str, str], Change] = {}
    for change in history:
        before = latest.get((change.kind, change.id))
        assert before is None or before.place < change.place
        assert change.rev == f"{change.place[0]}.{change.place[1]}"
        latest[change.kind, change.id] = change
    tasks = {id_: change for (kind, id_), change in latest.items() if kind == TASK}
    stored = await store.tasks(list(tasks))
    for image, (id_, change) in zip(stored, tasks.items(), strict=True):
        if change.gone:
            assert image is None, f"{id_} was announced as gone and is there"
        else:
            assert image is not None, f"{id_} was announced and is not there"
            assert to_json(image) == change.json
    living = {id_ for id_, change in tasks.items() if not change.gone}
    assert {task.id for task in await walk(store, Filter())} >= living
    gaps = {gap.id: to_json(gap) for gap in await store.gaps()}
    for (kind, id_), change in latest.items():
        if kind == GAP:
            assert change.gone == (id_ not in gaps)
            assert change.gone or gaps[id_] == change.json
    hosts = {worker.id: worker for worker in await store.workers(now=NOW)}
    for (kind, id_), change in latest.items():
        if kind == WORKER:
            assert change.gone == (id_ not in hosts)
            assert change.gone or hosts[id_].rev == change.rev


def _audit_keys(client: Any, prefix: str) -> None:
    """Compare the records with the indexes, key by key."""
    keys = [key.decode() for key in client.scan_iter(f"{prefix}:*", count=1000)]
    expected: dict[str, dict[str, float]] = {}
    values: dict[str, set[str]] = {}
    ids: set[str] = set()
    for key in keys:
        assert client.ttl(key) > 0, f"{key} has no TTL"
        if key.startswith(f"{prefix}:t:"):
            known = stored_record(TASK, client.get(key))
            ids.add(known.image.id)
            assert key == f"{prefix}:t:{known.image.id}"
            for place, value in known.places:
                index = expected.setdefault(f"{prefix}:i:{place}:{value}", {})
                index[known.image.id] = float(known.first)
                values.setdefault(place, set()).add(value)
    found = {
        key: {
            id_.decode(): at for id_, at in client.zrange(key, 0, -1, withscores=True)
        }
        for key in keys
        if key.startswith(f"{prefix}:i:")
        and not key.startswith((f"{prefix}:i:w:", f"{prefix}:i:g:"))
    }
    assert found == expected
    assert {id_.decode() for id_ in client.zrange(f"{prefix}:due", 0, -1)} == ids
    for place in ("name", "worker", "queue", "tag"):
        listed = {v.decode() for v in client.zrange(f"{prefix}:v:{place}", 0, -1)}
        assert listed >= values.get(place, set())
    if f"{prefix}:log" in keys:
        end = client.hget(f"{prefix}:meta", "end")
        assert client.xinfo_stream(f"{prefix}:log")["last-generated-id"] == end


async def walk(
    store: Store, filter_: Filter, limit: int = 100, **bounds: float
) -> list[TaskImage]:
    """Return the tasks of all pages."""
    tasks: list[TaskImage] = []
    page: str | None = None
    while True:
        got = await store.page(filter_, limit=limit, page=page, **cast(Any, bounds))
        assert len(got.tasks) <= limit
        tasks += got.tasks
        page = got.next
        if page is None:
            return tasks
