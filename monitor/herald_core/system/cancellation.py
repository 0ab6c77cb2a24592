"""Cancel tasks, and see that no cancellation is lost in third-party code."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any


async def cancel_tasks(*tasks: asyncio.Task[Any]) -> None:
    """Cancel `tasks`, and return once they have ended; their errors are dropped."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def run_in_background(*work: Coroutine[Any, Any, None]) -> AsyncGenerator[None]:
    """Run `work` while the block runs, and cancel it at its end."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        yield
    finally:
        await cancel_tasks(*tasks)


@contextmanager
def preserve_cancellation() -> Generator[None]:
    """Raise `CancelledError` after the block if a cancellation was lost in it.

    redis-py connects and writes under Python 3.11's `wait_for`, which loses a
    cancellation that arrives as the write ends, or as it fails.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    try:
        yield
    finally:
        if task and task.cancelling() > before:
            raise asyncio.CancelledError
