"""What has only begun is guessed to be new, until that proves wrong."""

import time

import pytest

from herald_core.model.events.event import Event
from herald_core.store.redis.store import RedisStore
from tests.support.servers.redis import private_valkey
from tests.support.store.labs import NOW, event

pytestmark = pytest.mark.anyio


def begun(number: int) -> list[Event]:
    return [
        Event(
            kind="received", task_id=f"t{number}", at=1.8e9 + number, host="w", clock=1
        )
    ]


async def test_who_hears_what_another_stored_stops_guessing() -> None:
    now = time.time()
    with private_valkey() as server, server.client() as client:
        first, second = RedisStore(server.url), RedisStore(server.url)
        await first.open()
        await second.open()
        try:

            async def both(number: int) -> tuple[int, int]:
                """Let both hear of a task; return what the second asked of Redis."""
                assert (await first.store(begun(number), now=now)).changes == 1
                before = asked()
                assert (await second.store(begun(number), now=now)).changes == 0
                return asked()[0] - before[0], asked()[1] - before[1]

            def asked() -> tuple[int, int]:
                told = client.info("commandstats")
                names = ("cmdstat_evalsha", "cmdstat_mget")
                scripts, reads = (told.get(n, {}).get("calls", 0) for n in names)
                return scripts, reads

            await second.store(begun(0), now=now)  # brings the script along
            assert await both(1) == (1, 1)  # refused, and looked up
            assert await both(2) == (0, 1)  # looked up at once
        finally:
            await first.close()
            await second.close()


async def test_a_long_record_is_read_again_and_a_short_one_is_not() -> None:
    """Thousands are remembered; each with all its texts, they would fill the memory."""
    with private_valkey() as server, server.client() as client:
        store = RedisStore(server.url)
        await store.open()
        try:

            async def reads_of(task_id: str, args: str) -> int:
                """Store two events of a task; return how often it was read."""
                begun = event("received", task_id, 1, args=args)
                going = event("started", task_id, 2, args=args)
                await store.store([begun], now=NOW)
                before = client.info("commandstats").get("cmdstat_mget", {"calls": 0})
                assert (await store.store([going], now=NOW)).changes == 1
                after = client.info("commandstats").get("cmdstat_mget", {"calls": 0})
                task = await store.get_task(task_id)
                assert task is not None
                assert task.args == args
                return int(after["calls"]) - int(before["calls"])

            assert await reads_of("short", "x" * 1_000) == 0
            assert await reads_of("long", "x" * 4_000) == 1
        finally:
            await store.close()
