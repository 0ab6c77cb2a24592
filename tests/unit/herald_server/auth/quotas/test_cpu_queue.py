"""Who took too much CPU time waits while the loop is behind, and no longer."""

import asyncio

import pytest

from herald_server.auth.quotas import cpu_queue
from herald_server.auth.quotas.cpu_budget import BURST_S, Account
from herald_server.auth.quotas.cpu_queue import take_turn, wait_to_enter

pytestmark = pytest.mark.anyio


def debtor(share: float = 1e-6) -> Account:
    """Return an account that would take days to pay."""
    account = Account(share)
    account.charge(BURST_S + 0.5, asyncio.get_running_loop().time())
    return account


@pytest.fixture
def behind(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let the loop be late by what stands in the list."""
    late = [1.0]

    async def lateness() -> float:
        await asyncio.sleep(0)
        return late[0]

    monkeypatch.setattr(cpu_queue, "_measure_lateness", lateness)
    return late


async def test_who_owes_nothing_goes_on_at_once(behind: list[float]) -> None:
    assert await take_turn(Account(0.25), timeout_s=0.0)


async def test_a_debtor_waits_while_the_loop_is_behind(behind: list[float]) -> None:
    assert not await take_turn(debtor(), timeout_s=0.05)


async def test_a_debtor_goes_on_once_the_loop_has_time(behind: list[float]) -> None:
    waiting = asyncio.create_task(take_turn(debtor()))
    await asyncio.wait([waiting], timeout=0.05)
    assert not waiting.done()
    behind[0] = 0.0
    assert await asyncio.wait_for(waiting, 30)


async def test_a_debtor_goes_on_once_it_has_paid(behind: list[float]) -> None:
    assert await asyncio.wait_for(take_turn(debtor(share=100.0)), 30)


async def test_the_first_goes_first(behind: list[float]) -> None:
    account, order = debtor(), list[int]()

    async def come(number: int) -> None:
        await take_turn(account)
        order.append(number)
        account.charge(1.0, asyncio.get_running_loop().time())

    coming = [asyncio.create_task(come(number)) for number in range(5)]
    await asyncio.wait(coming, timeout=0.05)
    behind[0] = 0.0
    await asyncio.gather(*coming)
    assert order == [0, 1, 2, 3, 4]


async def test_a_request_is_refused_after_a_while(
    behind: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cpu_queue, "MAX_WAIT_S", 0.01)
    assert await wait_to_enter(debtor(share=0.25)) == 2, (
        "0.5 s are owed, at 0.25 a second"
    )
    assert await wait_to_enter(Account(0.25)) == 0


async def test_so_many_requests_wait(behind: list[float]) -> None:
    account = debtor(share=0.25)
    account.waiting = cpu_queue.MAX_WAITING
    assert await asyncio.wait_for(wait_to_enter(account), 30) == 2


async def test_waiting_is_over_when_it_is_given_up(behind: list[float]) -> None:
    account = debtor()
    waiting = asyncio.create_task(take_turn(account))
    await asyncio.sleep(0)
    assert account.waiting == 1
    waiting.cancel()
    await asyncio.wait([waiting])
    assert (account.waiting, account.queue.locked()) == (0, False)
