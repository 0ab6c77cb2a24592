"""A task that is cancelled ends, whatever a library makes of the cancellation."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from herald_core.system.cancellation import cancel_tasks, preserve_cancellation
from tests.support.wait import wait_until_async

pytestmark = pytest.mark.anyio


async def swallow() -> None:
    """Return as if a write had ended as the cancellation came."""
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        return


async def fail() -> None:
    """Raise as if a connect had failed as the cancellation came."""
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        raise ConnectionRefusedError from None


@pytest.mark.parametrize("call", [swallow, fail])
async def test_a_cancellation_that_a_library_loses_is_kept(
    call: Callable[[], Awaitable[None]],
) -> None:
    tries = 0

    async def retry() -> None:
        nonlocal tries
        while tries < 2:
            tries += 1
            try:
                with preserve_cancellation():
                    await call()
            except OSError:
                continue

    task = asyncio.create_task(retry())
    await wait_until_async(lambda: tries == 1)
    await cancel_tasks(task)
    assert task.cancelled()


async def expire() -> None:
    """Raise `TimeoutError`, as calls with a timeout of their own do."""
    async with asyncio.timeout(0.01):
        await asyncio.Event().wait()


async def test_the_expiry_of_a_timeout_is_no_lost_cancellation() -> None:
    with pytest.raises(TimeoutError), preserve_cancellation():
        await expire()


async def test_a_timeout_around_it_expires_as_such() -> None:
    async def wait() -> None:
        async with asyncio.timeout(0.01):
            with preserve_cancellation():
                await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await wait()


async def test_an_error_without_a_cancellation_is_raised_as_it_is() -> None:
    with pytest.raises(ConnectionRefusedError), preserve_cancellation():
        raise ConnectionRefusedError
