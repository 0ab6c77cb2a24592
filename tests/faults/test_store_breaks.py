"""The store, or the way to it, breaks under load; all comes true again by itself."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from celery import Celery

from herald_core.model.tasks.views import from_rfc3339
from herald_core.settings import DEFAULT_PREFIX
from herald_core.store.redis.keys import RedisKeys
from tests.support.herald.fault_environment import fault_room
from tests.support.servers.fault_proxy import Proxy
from tests.support.servers.redis import PrivateValkey, private_valkey
from tests.support.wait import wait_until

pytestmark = [
    pytest.mark.celery,
    pytest.mark.anyio,
    # Celery stores results by a command that redis-py 8 calls deprecated.
    pytest.mark.filterwarnings("ignore:Call to deprecated setex"),
]
ProxyFactory = Callable[[str], Proxy]
LONG = [pytest.mark.soak, pytest.mark.timeout(300)]


@pytest.fixture
def keeper() -> Iterator[PrivateValkey]:
    """The store; it forgets all when it ends."""
    with private_valkey() as server:
        yield server


@pytest.fixture
def lasting(tmp_path: Path) -> Iterator[PrivateValkey]:
    """A store that writes to disk."""
    server = PrivateValkey(tmp_path / "store")
    server.start()
    yield server
    server.stop()


@pytest.mark.parametrize("times", [1, pytest.param(5, marks=LONG, id="soak")])
async def test_store_with_persistence_is_stopped_and_killed_and_restarted(
    lasting: PrivateValkey, module_app: Celery, times: int
) -> None:
    async with fault_room(module_app, lasting.url) as room:
        for how in (signal.SIGTERM, signal.SIGKILL) * times:
            await room.remember()
            await asyncio.to_thread(lasting.end, how)
            await room.unready()
            await room.traffic.more(10)
            await asyncio.to_thread(lasting.start)
            await room.ready()
        await room.comes_true()
        assert set(room.all.resets[1:]) == {"epoch"}
        await room.gaps("new history")


async def test_store_without_persistence_is_killed_and_restarted(
    keeper: PrivateValkey, module_app: Celery
) -> None:
    async with fault_room(module_app, keeper.url) as room:
        await room.remember()
        before = list(room.traffic.ids)
        await asyncio.to_thread(keeper.end, signal.SIGKILL)
        await room.unready()
        await room.traffic.more(20)
        await asyncio.to_thread(keeper.start)
        await room.comes_true(forgotten=before)
        assert "epoch" in room.all.resets
        await room.gaps("new history")


async def test_store_is_flushed(keeper: PrivateValkey, module_app: Celery) -> None:
    async with fault_room(module_app, keeper.url) as room:
        await room.remember()
        before = list(room.traffic.ids)
        with keeper.client() as client:
            client.flushall()
        await room.traffic.more(20)
        await room.comes_true(forgotten=before)
        assert "epoch" in room.all.resets
        await room.gaps("new history")


async def test_failover_loses_the_last_writes(
    keeper: PrivateValkey,
    lasting: PrivateValkey,
    module_app: Celery,
    proxy: ProxyFactory,
) -> None:
    """A replica that is behind takes over; what it issues must not look the same."""
    line, feeding = proxy(keeper.url), proxy(keeper.url)
    replica = lasting.client()
    follow_primary(keeper, replica, feeding)
    async with fault_room(module_app, line.url) as room:
        apart_since = time.time()
        feeding.black_hole()
        await room.traffic.more(30)
        await room.remember()
        line.refuse()
        cast(Any, replica).replicaof("NO", "ONE")
        line.lead_to(lasting.url)
        await room.unready()
        line.heal()
        await room.comes_true()
        assert set(room.all.resets[1:]) == {"epoch"}
        gaps = await room.gaps("new history")
        assert all(from_rfc3339(gap.since) < apart_since for gap in gaps)
    replica.close()
    feeding.cut()


def follow_primary(primary: PrivateValkey, replica: Any, way: Proxy) -> None:
    """Let `replica` follow `primary` by `way`, and wait until it does."""
    with primary.client() as client:
        client.config_set("repl-diskless-sync-delay", 0)
    replica.replicaof("127.0.0.1", way.port)
    wait_until(
        lambda: replica.info("replication").get("master_link_status") == "up",
        30,
        "the replica follows",
    )


async def test_log_is_trimmed_past_a_cursor(
    keeper: PrivateValkey, module_app: Celery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who was away too long is told so; who stayed does not notice."""
    # Too long for what the process remembers by itself, too.
    monkeypatch.setattr("herald_server.push.log.hub.MAX_RECENT_CHANGES", 0)
    async with fault_room(module_app, keeper.url) as room:
        await room.follows(room.ended)
        room.all.leave()
        await room.traffic.more(20)
        await room.remember()
        with keeper.client() as client:
            client.xtrim(RedisKeys(DEFAULT_PREFIX).log, maxlen=1, approximate=False)
        room.all.come_back()
        await room.comes_true()
        assert room.all.resets == ["new", "trimmed"]
        assert room.ended.resets == ["new"]


@pytest.mark.parametrize("seconds", [2, pytest.param(5, marks=LONG)])
async def test_store_is_frozen(
    keeper: PrivateValkey, module_app: Celery, seconds: int
) -> None:
    """Nothing is lost, so nobody starts over and no gap is shown."""
    async with fault_room(module_app, keeper.url, patience=1.0) as room:
        assert keeper.pid is not None
        os.kill(keeper.pid, signal.SIGSTOP)
        loop = asyncio.get_running_loop()
        frozen_until = loop.time() + seconds
        try:
            await room.unready()
            while loop.time() < frozen_until:
                await room.traffic.more(5)
        finally:
            os.kill(keeper.pid, signal.SIGCONT)
        await room.comes_true()
        assert room.all.resets == room.ended.resets == ["new"]
        assert await room.store.list_gaps() == []


@pytest.mark.parametrize("events", [20, pytest.param(800, marks=LONG, id="soak")])
async def test_store_is_out_of_memory(
    keeper: PrivateValkey, module_app: Celery, events: int
) -> None:
    """It refuses writes, and answers reads: events wait, and what is shown is stale."""
    async with fault_room(module_app, keeper.url) as room:
        with keeper.client() as client:
            client.config_set("maxmemory", 1)
            await room.unready()
            for _ in range(0, events, 20):
                await room.traffic.more(20)
            client.config_set("maxmemory", 0)
        await room.comes_true()
        assert room.all.resets == room.ended.resets == ["new"]
        assert await room.store.list_gaps() == []
        assert room.held.monitor.make_view().counters["poison"] == 0


@pytest.mark.parametrize("way", ["cut", "slow", "half-open"])
async def test_network_between_herald_and_store(
    keeper: PrivateValkey, module_app: Celery, proxy: ProxyFactory, way: str
) -> None:
    """The store itself goes on: nothing is lost, so nobody starts over."""
    line = proxy(keeper.url)
    async with fault_room(module_app, line.url, patience=1.0) as room:
        if way == "slow":
            line.delay(0.02)
            line.drip(1_000_000)
            await room.traffic.more(60)
        else:
            line.refuse() if way == "cut" else line.black_hole()
            await room.unready()
            await room.traffic.more(20)
            line.cut()
        line.heal()
        await room.comes_true()
        assert room.all.resets == room.ended.resets == ["new"]
        assert await room.store.list_gaps() == []
