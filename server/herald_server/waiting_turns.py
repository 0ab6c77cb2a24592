"""Waiting for a turn: who is in debt goes on when nobody else is kept waiting by it."""

from __future__ import annotations

import asyncio
import math
import time

from herald_server import caller
from herald_server.cpu_budget import Account

NAP_S = 0.02
"""Seconds between two looks at whether the loop is behind."""

LATE_S = 0.003
"""Seconds by which the loop may be late while it counts as idle."""

MAX_WAITING = 100
"""Requests of one account that wait; further ones are refused at once."""

MAX_WAIT_S = 5.0
"""Seconds that a request waits before it is refused."""


async def take_turn(account: Account, within: float = math.inf) -> bool:
    """Wait until `account` is out of debt, or its time is wanted by nobody else.

    Return False if that is not so `within` seconds. The first who came goes first.
    """
    if not account.debt(time.monotonic()):
        return True
    account.waiting += 1
    try:
        async with asyncio.timeout(None if within == math.inf else within):
            async with account.queue:
                await _solvent(account)
        return True
    except TimeoutError:
        return False
    finally:
        account.waiting -= 1


async def take_turn_for_caller(within: float) -> bool:
    """Wait as `take_turn` does for the account of who is being served."""
    payer = caller.account()
    return payer is None or await take_turn(payer, within)


async def enter(account: Account) -> int:
    """Wait for a turn for a request; return 0, or in how many seconds to come back."""
    if account.waiting < MAX_WAITING and await take_turn(account, MAX_WAIT_S):
        return 0
    debt = account.debt(time.monotonic())
    return max(math.ceil(debt / account.share), 1) if account.share else 1


async def _solvent(account: Account) -> None:
    while account.debt(time.monotonic()):
        if await _lateness() < LATE_S:
            account.grant()


async def _lateness() -> float:
    """Sleep a little; return how many seconds too late the loop came back to it."""
    due = time.monotonic() + NAP_S
    await asyncio.sleep(NAP_S)
    return time.monotonic() - due
