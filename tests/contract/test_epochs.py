"""Another history must never look like this one."""

import pytest

from herald_core.errors import StoreError
from herald_core.model.cursor import START
from tests.support.servers.redis import PrivateValkey
from tests.support.store.labs import NOW, Lab, all_changes
from tests.support.store.records import MONITOR, life, merged, stored
from tests.support.wait import wait_until

pytestmark = pytest.mark.anyio


async def test_a_lost_store_opens_an_epoch(redis_lab: Lab) -> None:
    async with redis_lab.open() as store:
        old = await store.store([*life("a"), *life("b")], now=NOW)
        redis_lab.clean()
        assert await store.read_end() == START
        assert (await store.store(life("a")[:2], now=NOW)).changes == 1
        end = await store.read_end()
        assert end.epoch > old.cursor.epoch
        assert end.n == 0
        assert await stored(store, ["a", "b"]) == merged(life("a")[:2])


async def test_a_lost_log_opens_an_epoch(redis_lab: Lab) -> None:
    async with redis_lab.open() as store:
        old = await store.record_heartbeat(MONITOR, now=NOW)
        with redis_lab.client() as client:
            client.delete(f"{redis_lab.prefix}:log")
        new = await store.record_heartbeat(MONITOR, now=NOW)
        assert new.cursor.epoch > old.cursor.epoch
        assert new.cursor.n == 0


async def test_a_clock_set_back_does_not_bring_an_old_epoch_back(
    redis_lab: Lab,
) -> None:
    async with redis_lab.open() as store:
        await store.record_heartbeat(MONITOR, now=NOW)
        with redis_lab.client() as client:
            client.hset(f"{redis_lab.prefix}:meta", "epoch", "99999999999999")
            client.delete(f"{redis_lab.prefix}:log")
        new = await store.record_heartbeat(MONITOR, now=NOW)
        assert new.cursor == (100_000_000_000_000, 0)


async def test_a_log_without_meta_opens_an_epoch_behind_it(redis_lab: Lab) -> None:
    async with redis_lab.open() as store:
        old = await store.record_heartbeat(MONITOR, now=NOW)
        with redis_lab.client() as client:
            client.xadd(f"{redis_lab.prefix}:log", {"-": ""}, id="99999999999999-0")
            client.delete(f"{redis_lab.prefix}:meta")
        new = await store.record_heartbeat(MONITOR, now=NOW)
        assert old.cursor < new.cursor
        assert new.cursor == (100_000_000_000_000, 0)


async def test_a_promotion_opens_an_epoch_within_the_log(own_lab: Lab) -> None:
    async with own_lab.open() as store:
        old = await store.store(life("a")[:2], now=NOW)
        before = await store.read_history_id()
        with own_lab.client() as client:
            client.replicaof("127.0.0.1", "1")
            client.replicaof("NO", "ONE")
        assert await store.read_history_id() != before
        new = await store.store(life("a")[2:], now=NOW)
        assert new.cursor.epoch > old.cursor.epoch
        assert new.cursor.n == 0
        assert [e.cursor for e in await store.read_entries(START)] == [
            old.cursor,
            new.cursor,
        ]


async def test_a_beat_alone_tells_of_a_promotion(own_lab: Lab) -> None:
    async with own_lab.open() as store:
        old = await store.store(life("a"), now=NOW)
        with own_lab.client() as client:
            client.replicaof("127.0.0.1", "1")
            client.replicaof("NO", "ONE")
        new = await store.record_heartbeat(MONITOR, now=NOW)
        assert new.cursor.epoch > old.cursor.epoch
        assert len([change async for change in all_changes(store)]) == 1


async def test_a_replica_takes_nothing(own_lab: Lab) -> None:
    async with own_lab.open() as store:
        await store.store(life("a")[:2], now=NOW)
        with own_lab.client() as client:
            client.replicaof("127.0.0.1", "1")
            with pytest.raises(StoreError, match="replica"):
                await store.store(life("a")[2:], now=NOW)
            client.replicaof("NO", "ONE")
        await store.store(life("a")[2:], now=NOW)
        assert await stored(store, ["a"]) == merged(life("a"))


async def test_a_restarted_server_is_another_history(
    own_lab: Lab, valkey: PrivateValkey
) -> None:
    async with own_lab.open() as store:
        old = await store.store(life("a"), now=NOW)
        valkey.restart()
        wait_until(lambda: valkey.pid)
        new = await store.store(life("a")[:1], now=NOW)
        assert new.cursor.epoch > old.cursor.epoch
        assert await stored(store, ["a"]) == merged(life("a")[:1])


async def test_what_another_lost_history_knew_is_not_taken_for_known(
    own_lab: Lab,
) -> None:
    """Another monitor opens the new epoch; ours must not trust its memory."""
    async with own_lab.open() as one, own_lab.open() as other:
        await one.store([*life("a"), *life("b")], now=NOW)
        with own_lab.client() as client:
            client.flushall()
        await other.store(life("c"), now=NOW)
        assert (await one.store([*life("a"), *life("d")], now=NOW)).changes == 2
        assert await stored(one, list("abcd")) == merged(
            [*life("c"), *life("a"), *life("d")]
        )
