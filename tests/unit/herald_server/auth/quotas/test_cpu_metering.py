"""The CPU time of work for a caller is charged to them, whichever task does it."""

import asyncio
import gc
import time
import weakref

import pytest

from herald_server.auth.identity import Identity
from herald_server.auth.quotas.cpu_budget import Account
from herald_server.auth.quotas.cpu_metering import (
    MeteredCoroutine,
    charge_tasks,
    run_for_caller,
)
from herald_server.auth.request_context import (
    RequestContext,
    enter_request,
    get_request_context,
)

pytestmark = pytest.mark.anyio

WORK_S = 0.02


class Bill(Account):
    """An account that keeps what is charged."""

    def __init__(self) -> None:
        super().__init__(1.0)
        self.total = 0.0

    def charge(self, seconds: float, now: float) -> None:
        self.total += seconds


def payer(bill: Bill) -> RequestContext:
    """Return a caller who pays for what is done for them."""
    return RequestContext(Identity("who"), account=bill)


async def work() -> str:
    """Compute for `WORK_S`, in two steps."""
    for _ in range(2):
        until = time.thread_time() + WORK_S / 2
        while time.thread_time() < until:
            pass
        await asyncio.sleep(0)
    return "done"


async def test_work_goes_on_for_a_caller_after_their_request() -> None:
    bill, seen = Bill(), list[object]()

    async def go_on() -> None:
        seen.append(get_request_context())
        await work()

    caller = payer(bill)
    await asyncio.create_task(run_for_caller(caller, go_on))
    assert (seen, get_request_context()) == ([caller], None)
    assert WORK_S <= bill.total < 2 * WORK_S
    await asyncio.create_task(run_for_caller(None, go_on))
    assert seen == [caller, None]


async def test_each_step_is_charged() -> None:
    bill = Bill()
    assert await MeteredCoroutine(work(), payer(bill)) == "done"
    assert WORK_S <= bill.total < 2 * WORK_S


async def test_waiting_costs_nothing() -> None:
    bill = Bill()
    other = asyncio.create_task(work())
    await MeteredCoroutine(asyncio.wait_for(other, 30), payer(bill))
    assert bill.total < WORK_S / 2


async def test_an_error_goes_through() -> None:
    async def fail() -> None:
        await asyncio.sleep(0)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await MeteredCoroutine(fail(), payer(Bill()))


class Held:
    """Something that a coroutine has at hand."""


async def test_what_one_that_is_given_up_had_at_hand_is_let_go_of_at_once() -> None:
    """And not only when Python looks for cycles, which is rare."""
    held: list[weakref.ref[Held]] = []

    async def wait() -> None:
        at_hand = Held()
        held.append(weakref.ref(at_hand))
        await asyncio.Event().wait()

    gc.disable()
    try:
        work: asyncio.Task[None] = asyncio.create_task(
            MeteredCoroutine(wait(), payer(Bill()))
        )
        await asyncio.sleep(0)
        work.cancel()
        await asyncio.wait([work])
        del work
        assert [one() for one in held] == [None]
    finally:
        gc.enable()


async def test_it_can_be_given_up() -> None:
    bill, begun = Bill(), asyncio.Event()

    async def wait() -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            await work()

    task: asyncio.Task[None] = asyncio.create_task(
        MeteredCoroutine(wait(), payer(bill))
    )
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert bill.total >= WORK_S, "what it does at its end is charged too"


async def test_tasks_of_a_caller_are_charged_to_it() -> None:
    charge_tasks(asyncio.get_running_loop())
    bill = Bill()
    with enter_request(Identity("who"), account=bill):
        ours = asyncio.create_task(work(), name="ours")
    theirs = asyncio.create_task(work())
    assert ours.get_name() == "ours"
    assert {await ours, await theirs} == {"done"}
    assert WORK_S <= bill.total < 2 * WORK_S


async def test_one_that_never_began_leaves_no_warning() -> None:
    task: asyncio.Task[str] = asyncio.create_task(
        MeteredCoroutine(work(), payer(Bill()))
    )
    task.cancel()
    await asyncio.wait([task])
    del task
    gc.collect()
