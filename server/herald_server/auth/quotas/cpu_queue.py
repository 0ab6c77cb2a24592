"""Delay accounts in debt: they continue when no other account has to wait for it."""

from __future__ import annotations

import asyncio
import math
import time

from herald_server.auth import request_context
from herald_server.auth.quotas.cpu_budget import Account

POLL_INTERVAL_S = 0.02
"""Seconds between checks whether the event loop is late."""

MAX_LATENESS_S = 0.003
"""Seconds by which the event loop may be late and still count as idle."""

MAX_WAITING = 100
"""Maximum number of waiting requests of an account. Further ones are refused
immediately."""

MAX_WAIT_S = 5.0
"""Seconds that a request waits before it is refused."""


async def take_turn(account: Account, timeout_s: float = math.inf) -> bool:
    """Wait until `account` is out of debt, or the loop is otherwise idle.

    Return False if that takes more than `timeout_s`. Requests are served in order.
    """
    if not account.compute_debt(time.monotonic()):
        return True
    account.waiting += 1
    try:
        async with asyncio.timeout(None if timeout_s == math.inf else timeout_s):
            async with account.queue:
                await _wait_until_solvent(account)
        return True
    except TimeoutError:
        return False
    finally:
        account.waiting -= 1


async def take_turn_for_caller(timeout_s: float) -> bool:
    """Wait as `take_turn` does, for the caller's account."""
    payer = request_context.get_account()
    return payer is None or await take_turn(payer, timeout_s)


async def wait_to_enter(account: Account) -> int:
    """Wait before a request; return 0, or the seconds after which to retry."""
    if not account.compute_debt(time.monotonic()):
        return 0
    if account.waiting < MAX_WAITING and await take_turn(account, MAX_WAIT_S):
        return 0
    debt = account.compute_debt(time.monotonic())
    return max(math.ceil(debt / account.share), 1) if account.share else 1


async def _wait_until_solvent(account: Account) -> None:
    while account.compute_debt(time.monotonic()):
        if await _measure_lateness() < MAX_LATENESS_S:
            account.forgive()


async def _measure_lateness() -> float:
    """Sleep briefly; return by how many seconds the event loop was late."""
    due = time.monotonic() + POLL_INTERVAL_S
    await asyncio.sleep(POLL_INTERVAL_S)
    return time.monotonic() - due
