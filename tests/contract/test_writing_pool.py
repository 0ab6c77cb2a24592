"""What writing processes store together is what one store would have stored."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager
from random import Random

import msgspec
import pytest

from herald_core.errors import EventDecodeError, StoreError, StoreUnreachable
from herald_core.model.events.event import Event, Progress
from herald_core.model.events.event_fast import DecodedEvent, normalize
from herald_core.model.tasks.views import TaskView
from herald_core.settings import MonitorSettings
from herald_monitor.ingest.consumers.envelope import decode_fast
from herald_monitor.ingest.consumers.event_header import (
    EventHeader,
    TaskEvent,
    decode_headers,
    stamp_header,
)
from herald_monitor.ingest.parser import EventParser
from herald_monitor.ingest.writers.autoscaler import (
    FULL_BATCHES_TO_SCALE,
    AutoscalingWriter,
)
from herald_monitor.ingest.writers.pool import WriterProcessPool
from herald_monitor.ingest.writers.protocol import decode_job, encode_jobs
from tests.support.servers.redis import PrivateValkey
from tests.support.store.labs import NOW, Lab, event
from tests.support.store.records import life, merged, stored
from tests.support.wait import wait_until_async

pytestmark = pytest.mark.anyio
HEARD = NOW + 100.0
FULL = 100


def settings_of(lab: Lab) -> dict[str, str]:
    """Return the environment of a monitor that stores in `lab`."""
    assert lab.url is not None
    return MonitorSettings(
        store_url=lab.url, store_prefix=lab.prefix, partitions=lab.parts
    ).to_env()


@asynccontextmanager
async def helped(lab: Lab, number: int = 2) -> AsyncGenerator[WriterProcessPool]:
    """Run a pool for the length of the block."""
    pool = WriterProcessPool(settings_of(lab), number)
    await pool.start()
    try:
        yield pool
    finally:
        await pool.stop()


def body(task_id: str, kind: str, clock: int) -> str:
    """Return an event as it travels."""
    return (
        f'{{"type": "task-{kind}", "uuid": "{task_id}", "clock": {clock}, "pid": 7,'
        f' "timestamp": {NOW + clock}, "hostname": "w1@h", "utcoffset": 0,'
        ' "name": "x.add", "args": "(1, \'é\')", "retries": 0, "root_id": null}'
    )


def unread(task_id: str, kind: str, clock: int) -> EventHeader:
    """Return an event as it is passed on."""
    [event] = decode_headers(body(task_id, kind, clock)) or []
    return stamp_header(event, HEARD + clock % 3)


def spoken(task_id: str, kind: str, clock: int) -> DecodedEvent:
    """Return an event as it is decoded the short way."""
    [event] = decode_fast(body(task_id, kind, clock)) or []
    settled = normalize(event, HEARD, str)
    assert isinstance(settled, DecodedEvent)
    return settled


def rather_many() -> list[Event]:
    """Return what is said of some tasks in every way, shuffled."""
    said: list[Event] = []
    for number in range(60):
        id_ = f"t{number}"
        said += [spoken(id_, kind, n) for n, kind in enumerate(("sent", "received"))]
        said += life(id_)[2:]
        step = Progress(percent=float(number))
        said.append(event("progress", id_, 9, progress=step))
        said.append(event("succeeded", id_, 0, source="backend", result="3", host=""))
        if number % 7 == 0:
            said.append(event("revoked", id_, 11, flag=True, tags=("a", "b")))
    Random(4).shuffle(said)
    return said


@pytest.fixture(params=[1, 3], ids=["alone", "partitions"])
def shared_lab(
    request: pytest.FixtureRequest, module_valkey: PrivateValkey
) -> Iterator[Lab]:
    """A place that other processes can reach: not in our memory.

    Each kind of Redis has the tests of one store: these are about several processes.
    """
    lab = Lab(module_valkey.url, request.param)
    yield lab
    lab.clean()


async def test_together_they_come_to_the_same(shared_lab: Lab) -> None:
    await come_to_the_same(shared_lab, rather_many())


async def test_what_is_passed_on_unread_is_stored_as_well(shared_lab: Lab) -> None:
    kinds = ("sent", "received", "started", "succeeded")
    told: list[TaskEvent] = [
        unread(f"t{task}", kind, clock)
        for clock, kind in enumerate(kinds)
        for task in range(60)
    ]
    told[7::20] = [spoken("t7", "retried", 8)] * len(told[7::20])
    await come_to_the_same(shared_lab, told)


async def come_to_the_same(lab: Lab, told: Sequence[TaskEvent]) -> None:
    """Store `told` by a pool; see that it comes to what is read and merged here."""
    images = merged(EventParser(str).decode_all(told))
    async with lab.open() as store, helped(lab) as pool:
        for at in range(0, len(told), 40):
            await pool.store(told[at : at + 40], now=NOW)
        found = await stored(store, list(images))
        assert {id_: alike(one) for id_, one in found.items()} == {
            id_: alike(one) for id_, one in images.items()
        }
        # What was told between two batches stays: an attempt never goes back.
        for id_, image in found.items():
            assert (image.attempt or 0) >= (images[id_].attempt or 0)


def alike(image: TaskView) -> TaskView:
    """Return `image` without its attempt."""
    return msgspec.structs.replace(image, attempt=None)


async def test_what_cannot_be_read_there_is_set_aside_here(own_lab: Lab) -> None:
    """What came with it is stored."""
    interpreter = EventParser(str)
    bad, *good = [unread(f"t{n}", "sent", n) for n in range(20)]
    bad.json = bytes(bad.json).replace("é".encode(), b"\xff")
    async with own_lab.open() as store:
        pool = WriterProcessPool(settings_of(own_lab), 2)
        overflow = AutoscalingWriter(store, lambda: pool, full=1)
        for n in range(FULL_BATCHES_TO_SCALE):
            await overflow.store([event("started", f"u{n}")], now=NOW)
        await wait_until_async(lambda: overflow.writer_count, 30, "help has come")
        with pytest.raises(EventDecodeError, match="utf-8"):
            await overflow.store([bad, *good], now=NOW)
        await overflow.store(interpreter.decode_all([bad, *good]), now=NOW)
        assert (await store.count_by_state())["PENDING"] == len(good)
        assert overflow.writer_count
        await overflow.close()
    assert interpreter.counters.poison == 1
    assert "utf-8" in interpreter.samples[0]


async def test_an_event_arrives_as_it_was_sent() -> None:
    said: list[Event] = [spoken("a", "sent", 1), *life("b"), event("progress", "c", 2)]
    [job] = encode_jobs(said, NOW, 1)
    read = decode_job(job[4:])
    assert read.now == NOW
    fields = Event.__struct_fields__
    for arrived, left in zip(read.events, said, strict=True):
        assert {f: getattr(arrived, f) for f in fields} == {
            f: getattr(left, f) for f in fields
        }


async def test_one_that_is_killed_loses_nothing(own_lab: Lab) -> None:
    """What it had is stored again, by the monitor itself."""
    async with own_lab.open() as store:
        pool = WriterProcessPool(settings_of(own_lab), 2)
        overflow = AutoscalingWriter(store, lambda: pool, full=FULL)
        number = 0
        for _ in range(FULL_BATCHES_TO_SCALE):
            batch = [event("sent", f"t{number + n}") for n in range(FULL)]
            number += FULL
            await overflow.store(batch, now=NOW)
        await wait_until_async(lambda: overflow.writer_count, 30, "help has come")
        os.kill(pool.pids[0], signal.SIGKILL)
        batch = [event("started", f"t{n}") for n in range(200)]
        with pytest.raises(StoreUnreachable, match="has ended"):
            await overflow.store(batch, now=NOW)
        await overflow.store(batch, now=NOW)
        assert await store.count_by_state() == {"PENDING": number - 200, "STARTED": 200}
        await overflow.close()


async def test_a_store_that_is_away_is_told_as_such(own_lab: Lab) -> None:
    async with own_lab.open(), helped(own_lab) as pool:
        with own_lab.client() as client:
            client.config_set("maxmemory", "1")
        with pytest.raises(StoreError, match="memory"):
            await pool.store(life("a"), now=NOW)


async def test_a_store_that_cannot_be_opened_is_told_at_the_start() -> None:
    settings = MonitorSettings(store_url="redis://127.0.0.1:1/0").to_env()
    pool = WriterProcessPool(settings, 2)
    with pytest.raises(StoreUnreachable, match=r"127\.0\.0\.1:1"):
        await pool.start()
    assert not any(runs(pid) for pid in pool.pids)


async def test_they_finish_what_they_were_given(own_lab: Lab) -> None:
    async with own_lab.open() as store:
        pool = WriterProcessPool(settings_of(own_lab), 2)
        await pool.start()
        said = [one for n in range(500) for one in life(f"t{n}")]
        storing = asyncio.create_task(pool.store(said, now=NOW))
        await asyncio.sleep(0)
        begin = time.monotonic()
        await pool.stop()
        assert time.monotonic() - begin < 7
        assert (await storing).changes == 500
        assert await store.count_by_state() == {"SUCCESS": 500}
        assert not any(runs(pid) for pid in pool.pids)


def runs(pid: int) -> bool:
    """Say whether a process is there."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_they_do_not_wait_for_a_store_that_hangs(own_lab: Lab) -> None:
    """What they had is stored again, by whoever starts next."""
    pool = WriterProcessPool(settings_of(own_lab), 1)
    await pool.start()
    with own_lab.client() as client:
        client.execute_command("CLIENT", "PAUSE", "8000", "ALL")
    storing = asyncio.create_task(pool.store(life("a"), now=NOW))
    await asyncio.sleep(0)
    begin = time.monotonic()
    await pool.stop()
    assert time.monotonic() - begin < 7
    with pytest.raises(StoreUnreachable):
        await storing
