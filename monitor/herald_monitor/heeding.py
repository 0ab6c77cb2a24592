"""Cancellations that are not lost among other people's code."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def heeded() -> Generator[None]:
    """Raise `CancelledError` behind the block if a cancellation got lost in it.

    Python 3.11's `wait_for`, under which redis-py connects and writes, forgets one
    that arrives as the write ends.
    """
    before = _cancelled()
    yield
    if _cancelled() > before:
        raise asyncio.CancelledError


def _cancelled() -> int:
    """Return how often this task was asked to end."""
    task = asyncio.current_task()
    return task.cancelling() if task else 0
