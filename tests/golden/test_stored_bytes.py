"""What the store holds after a recorded stream; and that what 0.1 stored is read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
import redis

from tests.golden.comparison import RECORDED, compare
from tests.golden.product import (
    START,
    Event,
    RedisStore,
    TaskView,
    change_fields,
    parse_cursor,
    parse_filter,
)
from tests.support.golden.keys import Dump, dump_keys, restore_keys, show_keys
from tests.support.golden.stream import EPOCH, GROUP, SENT, store_stream
from tests.support.servers.redis import PrivateValkey

pytestmark = pytest.mark.anyio

PREFIX = "{golden}"
OLD = RECORDED / "store-0.1.json"
RETENTION = 86_400.0


async def fill(client: redis.Redis, url: str) -> None:
    """Fill a store as version 0.1 did: the stream, then two tasks run out."""
    client.hset(f"{PREFIX}:meta", "epoch", str(EPOCH))
    store = RedisStore(url, prefix=PREFIX)
    await store.open()
    try:
        now = await store_stream(store)
        await store.expire_tasks(now=now + RETENTION + 1, limit=2)
    finally:
        await store.close()


async def test_a_recorded_stream_is_stored_as_it_was(valkey: PrivateValkey) -> None:
    client = valkey.client()
    await fill(client, valkey.url)
    compare("stored.json", show_keys(client, PREFIX))
    if not OLD.exists():
        OLD.write_text(_one_key_a_line(dump_keys(client, PREFIX)))
    client.close()


def _one_key_a_line(dump: Dump) -> str:
    lines = [f"{json.dumps(key)}: {json.dumps(one)}" for key, one in dump.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


@pytest.fixture
async def old(valkey: PrivateValkey) -> Any:
    """A store that holds what version 0.1 stored."""
    client = valkey.client()
    restore_keys(client, PREFIX, json.loads(OLD.read_text()))
    client.close()
    store = RedisStore(valkey.url, prefix=PREFIX)
    await store.open()
    yield store
    await store.close()


def plain(value: object) -> Any:
    """Return images and the like as JSON has them."""
    return msgspec.to_builtins(value, str_keys=True)


async def test_records_of_version_0_1_are_read(old: RedisStore) -> None:
    page = await old.list_tasks(parse_filter({}), limit=500)
    ids = [task.id for task in page.tasks]
    now = 1_795_328_900.0
    compare(
        "read.json",
        {
            "tasks": {task.id: plain(task) for task in page.tasks},
            "order": ids,
            "attempts": {id_: plain(await old.list_attempts(id_)) for id_ in ids},
            "counts": await old.count_by_state(),
            "workers": plain(await old.list_workers(now=now)),
            "gaps": plain(await old.list_gaps()),
            "queues": plain(await old.list_queues()),
            "monitors": plain(await old.list_monitors()),
            "groups": plain(await old.list_groups(10)),
            "group_counts": await old.count_group_by_state(GROUP),
            "registered": sorted(await old.find_registered([*SENT, *ids])),
            "queue_names": sorted(await old.list_queue_names(0.0)),
            "rollups": plain(await old.read_rollups(now - 900, now + 900, parts=True)),
            "note": plain((await old.get_item("golden", "note") or b"").decode()),
            "lines": [line.decode() for line in await old.read_lines("golden", 10)],
        },
    )


@pytest.mark.parametrize(
    "asked",
    [
        {"state": ["SUCCESS", "STARTED"]},
        {"name": "capp.*"},
        {"worker": "w1@h"},
        {"queue": "reports"},
        {"tag": "tenant:7"},
        {"group": GROUP},
        {"root": SENT[0]},
        {"parent": SENT[0]},
    ],
    ids=lambda asked: next(iter(asked)),
)
async def test_indexes_of_version_0_1_find_the_same_tasks(
    old: RedisStore, asked: dict[str, Any]
) -> None:
    found = await old.list_tasks(parse_filter(asked), limit=500)
    every = await old.list_tasks(parse_filter({}), limit=500)
    filter_ = parse_filter(asked)
    matching = [task.id for task in every.tasks if filter_.matches(task)]
    assert [task.id for task in found.tasks] == matching
    assert matching


async def test_a_page_of_version_0_1_goes_on(old: RedisStore) -> None:
    """The token `next` was given out by version 0.1."""
    whole = await old.list_tasks(parse_filter({}), limit=500)
    first = await old.list_tasks(parse_filter({}), limit=4)
    compare("page-token.json", {"next": first.next})
    rest = await old.list_tasks(parse_filter({}), limit=500, page=first.next)
    assert [t.id for t in (*first.tasks, *rest.tasks)] == [t.id for t in whole.tasks]


async def test_the_log_of_version_0_1_is_read_from_any_cursor(old: RedisStore) -> None:
    entries = await old.read_entries(START, limit=500)
    told = [[str(e.cursor), [change_fields(c) for c in e.changes]] for e in entries]
    compare("log.json", {"end": str(await old.read_end()), "entries": told})
    for number, entry in enumerate(entries):
        behind = await old.read_entries(parse_cursor(str(entry.cursor)), limit=500)
        assert behind == entries[number + 1 :]


async def test_a_store_of_version_0_1_is_written_on(old: RedisStore) -> None:
    ended = [task for task in await _tasks(old) if task.state == "STARTED"]
    end = await old.read_end()
    told: set[str] = set()
    for task in ended:
        event = Event(
            kind="succeeded",
            task_id=task.id,
            at=1_795_400_000.0,
            host=task.worker or "",
            pid=1,
            clock=1 << 40,
            result="5",
        )
        await old.store([event], now=1_795_400_000.0)
        told.add((await old.get_task(task.id)).state)
    assert told == {"SUCCESS"}
    # Another server has another history: it opens the next epoch.
    assert (await old.read_end()).epoch == end.epoch + 1
    counts = await old.count_by_state()
    assert counts.get("STARTED", 0) == 0
    assert sum(counts.values()) == len(await _tasks(old))


async def _tasks(store: RedisStore) -> Sequence[TaskView]:
    return (await store.list_tasks(parse_filter({}), limit=500)).tasks
