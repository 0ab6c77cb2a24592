"""Far more questions at once than there are lines to the store."""

import asyncio
from typing import Any, cast

import pytest

from herald_core.errors import StoreUnreachable
from herald_core.store.redis.connection.client import REDIS_TIMEOUT_S, RedisClient
from herald_core.store.redis.connection.pool import MAX_CONNECTIONS
from tests.support.servers.redis import PrivateValkey
from tests.support.store.labs import Lab
from tests.support.wait import wait_until_async

pytestmark = pytest.mark.anyio


async def test_all_are_answered_though_lines_are_fewer(
    module_valkey: PrivateValkey,
) -> None:
    async with (
        Lab(module_valkey.url).open() as store,
        asyncio.timeout(REDIS_TIMEOUT_S - 1),
    ):
        asked = (store.get_task(f"t{n}") for n in range(4 * MAX_CONNECTIONS))
        assert {task.state for task in await asyncio.gather(*asked)} == {"UNKNOWN"}


async def test_a_call_under_way_leaves_no_line_behind_when_the_store_is_closed(
    valkey: PrivateValkey,
) -> None:
    link = RedisClient(valkey.url)
    await link.open()
    waiting = asyncio.create_task(link.execute_blocking(5, "BLPOP", "nothing", 5))
    with valkey.client() as plain:
        client = cast(Any, plain)

        def blocked() -> list[dict[str, str]]:
            lines: list[dict[str, str]] = client.client_list()
            return [line for line in lines if line["cmd"] == "blpop"]

        await wait_until_async(lambda: len(blocked()) == 1, 30, "it waits")
        await link.close()
        with pytest.raises(StoreUnreachable):
            await waiting
        await wait_until_async(
            lambda: len(client.client_list()) == 1, 30, "only ours is left"
        )


async def test_lines_that_a_burst_needed_are_closed_and_connect_again(
    valkey: PrivateValkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("herald_core.store.redis.connection.pool.IDLE_S", 0.0)
    link = RedisClient(valkey.url)
    await link.open()
    with valkey.client() as plain:
        client = cast(Any, plain)
        for _ in range(2):
            asked = (link.execute("ECHO", str(n)) for n in range(4 * MAX_CONNECTIONS))
            told = await asyncio.gather(*asked)
            assert told == [str(n).encode() for n in range(4 * MAX_CONNECTIONS)]
            await link.execute("PING")
            # Ours, and at most the one that was used last.
            await wait_until_async(
                lambda: len(client.client_list()) <= 2, 30, "lines are closed"
            )
    await link.close()
