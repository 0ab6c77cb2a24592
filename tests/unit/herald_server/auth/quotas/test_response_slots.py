"""Large answers are made a few at a time for each token."""

import asyncio
from collections.abc import Callable

import pytest

from herald_server.auth.identity import Identity
from herald_server.auth.quotas.cpu_budget import Account
from herald_server.auth.quotas.response_slots import (
    SnapshotTurn,
    hold_answer_turn,
    hold_backend_turn,
)
from herald_server.auth.quotas.start_limits import QuotaExceeded
from herald_server.auth.quotas.unread_bytes import (
    MAX_ANSWERS,
    MAX_SNAPSHOTS,
    TokenBacklog,
)
from herald_server.auth.request_context import enter_request

pytestmark = pytest.mark.anyio

WHO = Identity("somebody")


class Making:
    """Answers that are being made, each until it is let."""

    def __init__(self) -> None:
        self.number = 0
        self.let = asyncio.Event()

    async def answer(self, account: Account) -> None:
        with enter_request(WHO, account=account):
            async with hold_answer_turn():
                await self._made()

    async def result(self, account: Account, within: float = 10.0) -> None:
        with enter_request(WHO, account=account):
            async with hold_backend_turn(within):
                await self._made()

    async def _made(self) -> None:
        self.number += 1
        await self.let.wait()


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not true():
            await asyncio.sleep(0)


async def test_so_many_answers_are_made_for_a_token_and_others_for_another() -> None:
    making, one, other = Making(), Account(0.0), Account(0.0)
    async with asyncio.TaskGroup() as tasks:
        for _ in range(MAX_ANSWERS + 3):
            tasks.create_task(making.answer(one))
        await until(lambda: making.number == MAX_ANSWERS)
        tasks.create_task(making.answer(other))
        await until(lambda: making.number == MAX_ANSWERS + 1)
        making.let.set()
    assert making.number == MAX_ANSWERS + 4


async def test_the_backend_is_asked_once_at_a_time_for_a_token() -> None:
    making, one, other = Making(), Account(0.0), Account(0.0)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(making.result(one))
        await until(lambda: making.number == 1)
        with pytest.raises(QuotaExceeded, match="other results are still being read"):
            await making.result(one, within=0.01)
        tasks.create_task(making.result(other))
        await until(lambda: making.number == 2)
        making.let.set()
    await making.result(one)


async def test_a_turn_that_is_given_up_is_another_ones() -> None:
    backlog = TokenBacklog()
    turns = [SnapshotTurn(backlog) for _ in range(MAX_SNAPSHOTS + 1)]
    for turn in turns[:-1]:
        assert await turn.acquire(10.0)
    assert not await turns[-1].acquire(0.01)
    for _ in range(2):
        turns[0].release()
    assert await turns[-1].acquire(10.0)
    assert not await turns[0].acquire(0.01)
