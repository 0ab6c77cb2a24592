"""Wait for a condition, never for time: one way for threads, one for coroutines.

Both read a value until `accept` takes it, and return it. If that does not happen in
time, they fail and show the value that was read last.
"""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, NoReturn, TypeVar, overload

T = TypeVar("T")
PAUSE_S = 0.01
MAX_PAUSE_S = 0.1
"""Seconds between two reads: at first the one, and a twentieth of a longer wait.

Many reads go through everything that is stored, and what is waited for needs the
processor too.
"""
TIMEOUT_S = 30.0
"""Seconds that a wait may take, on a machine that does much else as well."""


def wait_until(
    read: Callable[[], T],
    timeout: float = TIMEOUT_S,
    message: str = "",
    *,
    accept: Callable[[T], object] = bool,
) -> T:
    """Return what `read` returns once `accept` takes it."""
    value: object = None
    for pause_s in _attempt(timeout):
        value = read()
        if accept(value):
            return value
        time.sleep(pause_s)
    _fail(timeout, message, value)


@overload
async def wait_until_async(
    read: Callable[[], Awaitable[T]],
    timeout: float = TIMEOUT_S,
    message: str = "",
    *,
    accept: Callable[[T], object] = bool,
) -> T: ...
@overload
async def wait_until_async(
    read: Callable[[], T],
    timeout: float = TIMEOUT_S,
    message: str = "",
    *,
    accept: Callable[[T], object] = bool,
) -> T: ...
async def wait_until_async(
    read: Callable[[], Any],
    timeout: float = TIMEOUT_S,
    message: str = "",
    *,
    accept: Callable[[Any], object] = bool,
) -> Any:
    """Do as `wait_until` while the loop goes on; `read` may return an awaitable."""
    value: Any = None
    for pause_s in _attempt(timeout):
        value = read()
        if inspect.isawaitable(value):
            value = await value
        if accept(value):
            return value
        await asyncio.sleep(pause_s)
    _fail(timeout, message, value)


def _attempt(timeout: float) -> Iterator[float]:
    """Yield pauses in seconds until the time is over, and then once more."""
    begun = time.monotonic()
    while (waited := time.monotonic() - begun) < timeout:
        yield min(max(PAUSE_S, waited / 20), MAX_PAUSE_S)
    yield 0.0


def _fail(timeout: float, message: str, value: object) -> NoReturn:
    raise AssertionError(
        f"after {timeout} s still not: {message}; read: {value!r:.1000}"
    )
