"""Long polls: requests that are answered the moment a task ends. Nothing polls here."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from herald_monitor.model.shape import EXPIRED, TaskImage
from herald_monitor.store import Reader
from herald_server.following import until
from herald_server.hub import Hub

LET_GO = 0.1
TRIES = 5
"""Seconds in which a cancelled task should end, and how often it is cancelled."""


def over(task: TaskImage) -> bool:
    """Say whether nothing more is to be waited for."""
    return task.final or task.state == EXPIRED


class LongPolls:
    """The requests that wait now, so that a stopping server can answer them."""

    def __init__(self, hub: Hub, reader: Reader) -> None:
        self._hub = hub
        self._reader = reader
        self._closing = asyncio.Event()

    def close(self) -> None:
        """Let all waiting requests be answered now."""
        self._closing.set()

    async def wait(
        self, task_id: str, seconds: float, left: Coroutine[Any, Any, object]
    ) -> TaskImage:
        """Return the task once it ends, or as it is after `seconds`.

        `left` returns when nobody waits for the answer any more. Raises
        `StoreError`.
        """
        if self._closing.is_set():
            left.close()
            return await self._reader.task(task_id)
        waiting = asyncio.create_task(
            until(self._hub, self._reader, task_id, over, seconds)
        )
        others = [
            asyncio.create_task(self._closing.wait()),
            asyncio.create_task(left),
        ]
        try:
            await asyncio.wait([waiting, *others], return_when=asyncio.FIRST_COMPLETED)
            if waiting.done():
                return waiting.result()
            return await self._reader.task(task_id)
        finally:
            await _end([waiting, *others])


async def _end(tasks: list[asyncio.Task[Any]]) -> None:
    """Cancel tasks, more than once: a client library may swallow the first."""
    for _ in range(TRIES):
        for task in tasks:
            task.cancel()
        _, pending = await asyncio.wait(tasks, timeout=LET_GO)
        if not pending:
            return
