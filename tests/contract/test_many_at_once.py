"""Far more questions at once than there are lines to the store."""

import asyncio
from typing import Any, cast

import pytest

from herald_monitor.errors import StoreUnreachable
from herald_monitor.redis_link import MOST, PATIENCE, Link
from tests.contract.labs import Lab
from tests.servers import PrivateValkey
from tests.serving import until

pytestmark = pytest.mark.anyio


async def test_all_are_answered_though_lines_are_fewer(
    module_valkey: PrivateValkey,
) -> None:
    async with Lab(module_valkey.url).open() as store, asyncio.timeout(PATIENCE - 1):
        asked = (store.task(f"t{n}") for n in range(4 * MOST))
        assert {task.state for task in await asyncio.gather(*asked)} == {"UNKNOWN"}


async def test_a_call_under_way_leaves_no_line_behind_when_the_store_is_closed(
    valkey: PrivateValkey,
) -> None:
    link = Link(valkey.url)
    await link.open()
    waiting = asyncio.create_task(link.wait(5, "BLPOP", "nothing", 5))
    with valkey.client() as plain:
        client = cast(Any, plain)

        def blocked() -> list[dict[str, str]]:
            lines: list[dict[str, str]] = client.client_list()
            return [line for line in lines if line["cmd"] == "blpop"]

        await until(lambda: len(blocked()) == 1, 5, "it waits")
        await link.close()
        with pytest.raises(StoreUnreachable):
            await waiting
        await until(lambda: len(client.client_list()) == 1, 5, "only ours is left")


async def test_lines_that_a_burst_needed_are_closed_and_connect_again(
    valkey: PrivateValkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("herald_monitor.idle_lines.IDLE_S", 0.0)
    link = Link(valkey.url)
    await link.open()
    with valkey.client() as plain:
        client = cast(Any, plain)
        for _ in range(2):
            asked = (link.call("ECHO", str(n)) for n in range(4 * MOST))
            told = await asyncio.gather(*asked)
            assert told == [str(n).encode() for n in range(4 * MOST)]
            await link.call("PING")
            # Ours, and at most the one that was used last.
            await until(lambda: len(client.client_list()) <= 2, 5, "lines are closed")
    await link.close()
