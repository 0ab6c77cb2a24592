"""What a server that stops waits for."""

import asyncio

import pytest

from herald_server.mcp.http import active_calls
from herald_server.mcp.http.active_calls import ActiveCalls

pytestmark = pytest.mark.anyio


async def test_without_calls_there_is_nothing_to_wait_for() -> None:
    await ActiveCalls().wait_until_answered(0.0)


async def test_calls_and_what_follows_them_are_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(active_calls, "FOLLOW_UP_S", 0.0)
    calls, first, second = ActiveCalls(), asyncio.Event(), asyncio.Event()

    async def ask() -> None:
        with calls.count():
            await first.wait()
        with calls.count():
            await second.wait()

    asking = asyncio.create_task(ask())
    await asyncio.sleep(0)
    waiting = asyncio.create_task(calls.wait_until_answered(30))
    await asyncio.sleep(0)
    first.set()
    for _ in range(5):
        await asyncio.sleep(0)
    assert not waiting.done()
    second.set()
    await asyncio.gather(asking, waiting)


async def test_a_call_that_is_not_answered_is_given_up() -> None:
    calls = ActiveCalls()
    with calls.count():
        await calls.wait_until_answered(0.0)
