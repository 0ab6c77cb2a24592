"""What has only begun is guessed to be new, until that proves wrong."""

import time

import pytest

from herald_monitor.model.events import Event
from herald_monitor.redis_store import RedisStore
from tests.servers import private_valkey

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
