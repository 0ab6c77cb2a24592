"""Whatever an event holds, it is set aside or made the best of, and stops no other."""

import json
import logging
import pickle
import time
from pathlib import Path
from typing import Any, NamedTuple, cast

import pytest
from celery import Celery

from herald_core.errors import StoreError, StoreUnreachable
from herald_core.model.cursor import Cursor
from herald_core.model.events.event import Event
from herald_core.model.monitors import MonitorView
from herald_core.model.tasks.views import from_rfc3339
from herald_core.settings import DEFAULT_PREFIX
from herald_core.store.memory.store import MemoryStore
from herald_core.store.redis.keys import RedisKeys
from herald_core.store.types import WriteResult
from herald_monitor.ingest.retrying_writer import RejectedItem, RetryingWriter
from tests.support.celery.messages import emit, emit_raw
from tests.support.celery.worker import AppFactory
from tests.support.herald.monitor_process import monitoring, open_store
from tests.support.herald.process import HeraldProcess
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until, wait_until_async

pytestmark = pytest.mark.anyio

JSON = "application/json"
PICKLE = "application/x-python-serialize"
YEAR = 365 * 86_400.0


class Bad(NamedTuple):
    """A message that cannot be read, and a part of what is said of it."""

    name: str
    body: bytes
    said: str
    kind: str = JSON


BAD = [
    Bad("no JSON", b"this is no JSON", "this is no JSON"),
    Bad("nothing", b"", "must be an object or a list"),
    Bad("cut off", b'{"type": "task-sent", "uuid": ', "cannot be read"),
    Bad("no text", b"\xff\xfe\x00", "cannot be read"),
    Bad("null", b"null", "must be an object or a list"),
    Bad("lists in lists", b'[[[{"type": "task-sent"}]]]', "this is a list"),
    Bad("nested without end", b"[" * 100_000, "cannot be read"),
    Bad("nested objects", b'{"type":' * 100_000, "cannot be read"),
    Bad("no type", b'{"uuid": "x"}', "must have a type"),
    Bad("a type that is a number", b'{"type": 5}', "must have a type"),
    Bad("missing uuid", b'{"type": "task-started"}', "without a usable uuid"),
    Bad("uuid of a number", b'{"type": "task-started", "uuid": 1}', "usable uuid"),
    Bad("long uuid", b'{"type": "task-sent", "uuid": "' + b"x" * 999 + b'"}', "uuid"),
    Bad("pickle", pickle.dumps({"type": "task-sent", "password": "hunter2"}),
        "bytes of application/x-python-serialize", PICKLE),
    Bad("secret", b'{"type": "task-sent", "password": "hunter2"}', "[redacted]"),
    Bad("secret, cut off", b'{"type": "task-sent", "token": "hunter2', "[redacted]"),
]  # fmt: skip


async def knows(store: MemoryStore, task_id: str) -> None:
    """Wait until something is known of a task."""

    async def known() -> bool:
        return (await store.get_tasks([task_id]))[0] is not None

    await wait_until_async(known, 30, f"{task_id} is known")


def received(task_id: str, **more: object) -> dict[str, object]:
    """Return a good event."""
    return {
        **{
            "type": "task-received",
            "uuid": task_id,
            "name": "t.add",
            "hostname": "w@h",
        },
        **{"pid": 7, "clock": 1, "retries": 0, "timestamp": time.time(), **more},
    }


async def test_what_cannot_be_read_is_set_aside(
    broker_url: str, project_app: AppFactory
) -> None:
    app, store = project_app(broker_url), MemoryStore()
    async with monitoring(app, store) as monitor:
        for number, bad in enumerate(BAD):
            emit(app, received(f"before-{number}"))
            emit_raw(app, bad.body, bad.kind)
            emit(app, received(f"after-{number}"))
            await knows(store, f"before-{number}")
            await knows(store, f"after-{number}")
            image = monitor.make_view()
            assert image.counters["poison"] == number + 1, bad.name
            assert bad.said in image.samples[-1], (bad.name, image.samples[-1])
            assert "hunter2" not in "".join(image.samples)
            assert all(len(sample) <= 500 for sample in image.samples)
        assert monitor.make_view().connected
        assert monitor.make_view().counters["reconnects"] == 0


@pytest.mark.parametrize(
    "body",
    [
        '{"type": "task-sent", "uuid": "x"}',  # not encoded at all
        "e30",  # padding is missing
        "eyJ0eXBlIjogInRhc2stc2VudCIsICJwYXNzd29yZCI6ICJodW50ZXIyIn0*",
    ],
)
async def test_garbage_instead_of_base64_is_set_aside(
    valkey: PrivateValkey, project_app: AppFactory, body: str
) -> None:
    app, store = project_app(valkey.url), MemoryStore()
    envelope = {"body": body, "content-type": JSON, "content-encoding": "utf-8"}
    said = json.dumps({**envelope, "properties": {"body_encoding": "base64"}})
    async with monitoring(app, store) as monitor:
        emit(app, received("before"))
        with valkey.client() as client:
            client.publish(f"/0.{cast(Any, app).conf.event_exchange}/task.x", said)
        emit(app, received("after"))
        await knows(store, "before")
        await knows(store, "after")
        [sample] = monitor.make_view().samples
    assert "base64" in sample
    assert body not in sample


async def odd(app: Celery, store: MemoryStore, told: dict[str, object]) -> Any:
    """Emit `told` between good events; return the task that became of it."""
    task_id = str(told["uuid"])
    emit(app, [received(f"{task_id}-before"), told, received(f"{task_id}-after")])
    for one in (f"{task_id}-before", task_id, f"{task_id}-after"):
        await knows(store, one)
    return await store.get_task(task_id)


async def test_the_best_is_made_of_odd_events(
    broker_url: str, project_app: AppFactory
) -> None:
    app, store = project_app(broker_url), MemoryStore()
    async with monitoring(app, store) as monitor:
        nan = await odd(app, store, received("nan", timestamp=float("nan")))
        assert abs(from_rfc3339(nan.received_at) - time.time()) < 5

        ahead = await odd(app, store, received("ahead", timestamp=time.time() + YEAR))
        assert from_rfc3339(ahead.received_at) < time.time() + 1

        named = await odd(app, store, received("named", name="n" * 10_000))
        assert len(named.name) == 512

        lists = await odd(app, store, received("lists", args=[[[[1], 2], 3], "x"]))
        assert lists.args == "[[[[1], 2], 3], 'x']"

        newer = received("newer", flavour={"of": ["another", "Celery"]}, retries="0")
        assert (await odd(app, store, newer)).state == "RECEIVED"

        bare: dict[str, object] = {"type": "task-received", "uuid": "bare"}
        assert (await odd(app, store, bare)).state == "RECEIVED"
        assert monitor.make_view().counters["poison"] == 0


async def test_event_of_ten_megabytes_is_cut_and_kept(
    broker_url: str, project_app: AppFactory
) -> None:
    app, store = project_app(broker_url), MemoryStore()
    async with monitoring(app, store) as monitor:
        task = await odd(app, store, received("big", args="x" * 10_000_000))
        assert len(task.args) == 8_192
        assert task.args.endswith("(10000000 characters)")
        nested = await odd(app, store, received("nested", args=[["y" * 99]] * 100_000))
        assert len(nested.args) == 8_192
        assert monitor.make_view().counters["reconnects"] == 0


# -- what the store refuses --------------------------------------------------------


async def test_event_that_the_store_refuses_is_set_aside_alone(
    broker_url: str, valkey: PrivateValkey, project_app: AppFactory
) -> None:
    """Something else lies under the key of one task: Redis refuses to overwrite it."""
    app = project_app(broker_url)
    bad = RedisKeys(DEFAULT_PREFIX).make_record("t", "bad")
    with valkey.client() as client:
        client.rpush(bad, "not ours")
        client.expire(bad, 60)
    async with open_store(valkey.url) as store, monitoring(app, store) as monitor:
        good = [f"good-{number}" for number in range(200)]
        emit(app, [received(name) for name in (*good[:100], "bad", *good[100:])])

        async def all_known() -> bool:
            return all(await store.get_tasks(good))

        await wait_until_async(all_known, 30, "all others are stored")
        await wait_until_async(
            lambda: _poisoned(monitor.make_view()), 30, "the bad one is aside"
        )
        emit(app, received("later"))

        async def later() -> bool:
            return (await store.get_tasks(["later"]))[0] is not None

        await wait_until_async(later, 30, "what comes later")
        image = monitor.make_view()
        assert image.counters["poison"] == 1
        assert "received of task bad" in image.samples[-1]
        [gap] = [gap for gap in await store.list_gaps() if "refused" in gap.reason]
        assert "task bad" in gap.reason


async def _poisoned(image: MonitorView) -> bool:
    return image.counters["poison"] > 0


class Picky(MemoryStore):
    """A store that refuses some tasks, and nothing or everything for a while."""

    def __init__(self, refused: set[str]) -> None:
        super().__init__()
        self.refused = refused
        self.trouble: list[Exception] = []
        self.full = 0

    async def store(self, events: Any, workers: Any = (), *, now: float) -> WriteResult:
        if self.trouble:
            raise self.trouble.pop()
        if self.full:
            raise StoreError("out of memory")
        if any(event.task_id in self.refused for event in events):
            raise StoreError("no")
        return await super().store(events, workers, now=now)

    async def acquire_lease(self, work: str, owner: str, seconds: float) -> bool:
        if self.full:
            self.full -= 1
            raise StoreError("out of memory")
        return await super().acquire_lease(work, owner, seconds)


def some(number: int) -> list[Event]:
    """Return an event of each of so many tasks."""
    return [Event(kind="sent", task_id=f"t{n}", at=1.0) for n in range(number)]


async def test_several_refused_events_are_all_found() -> None:
    aside: list[RejectedItem] = []
    store = Picky({"t0", "t7", "t8", "t99"})
    storing = RetryingWriter[Event](store, "n", lambda item, _: aside.append(item))
    receipt = await storing.store(some(100))
    assert {one.task_id for one in aside if isinstance(one, Event)} == store.refused
    assert receipt.changes == 96
    assert receipt.cursor == await store.read_end()


async def test_store_that_takes_nothing_is_waited_for_not_blamed_on_events() -> None:
    aside: list[RejectedItem] = []
    store = Picky(set())
    store.full = 3
    storing = RetryingWriter[Event](store, "n", lambda item, _: aside.append(item))
    receipt = await storing.store(some(10))
    assert receipt.changes == 10
    assert aside == []


async def test_store_that_is_away_is_waited_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    aside: list[RejectedItem] = []
    store = Picky(set())
    store.trouble = [StoreUnreachable("away") for _ in range(4)]
    storing = RetryingWriter[Event](store, "n", lambda item, _: aside.append(item))
    with caplog.at_level(logging.INFO, "herald_monitor"):
        assert (await storing.store(some(10))).changes == 10
    assert aside == []
    assert storing.retries == 4
    assert [record.getMessage() for record in caplog.records] == [
        "away; events wait in memory",
        "The store takes events again.",
    ]


async def test_mistake_of_our_own_is_a_refusal_as_well() -> None:
    """A bug that one event brings to light must not end the monitor."""

    class Buggy(MemoryStore):
        async def store(
            self, events: Any, workers: Any = (), *, now: float
        ) -> WriteResult:
            assert all(event.task_id != "t3" for event in events)
            return await super().store(events, workers, now=now)

    aside: list[tuple[RejectedItem, str]] = []
    storing = RetryingWriter[Event](
        Buggy(), "n", lambda item, why: aside.append((item, why))
    )
    assert (await storing.store(some(10))).changes == 9
    [(item, why)] = aside
    assert isinstance(item, Event)
    assert item.task_id == "t3"
    assert "AssertionError" in why


async def test_all_refused_leaves_no_place_in_the_log() -> None:
    store = Picky({"t0"})
    receipt = await RetryingWriter(store, "n", lambda _item, _why: None).store(some(1))
    assert receipt == WriteResult(Cursor(0, 0))


# -- as a user sees it -------------------------------------------------------------


@pytest.mark.celery
def test_health_shows_what_was_set_aside(
    valkey: PrivateValkey, project_app: AppFactory, tmp_path: Path
) -> None:
    app = project_app(valkey.url, event_exchange="celeryev")
    up = HeraldProcess(tmp_path / "up.log", "up", "--broker", valkey.url)
    up.start()
    try:
        emit_raw(app, b'{"type": "task-sent", "api_key": "hunter2"}', JSON)

        def samples() -> list[str]:
            monitors = up.get("api/v1/health")["monitors"]
            return [one for each in monitors for one in each.get("samples", ())]

        wait_until(samples, 30, "a sample")
        [sample] = samples()
        assert "without a usable uuid" in sample
        assert "hunter2" not in sample
        assert up.get("api/v1/health")["monitors"][0]["counters"]["poison"] == 1
    finally:
        assert up.stop()
