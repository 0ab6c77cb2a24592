"""Following tasks inside the server: what MCP tools, long polls and streams wait on.

The same order as a WebSocket session's: register, then read, then tell apart by
rev. Nothing is polled.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from herald_monitor.model.cursor import Cursor
from herald_monitor.model.filters import Filter
from herald_monitor.model.shape import TaskImage
from herald_monitor.model.vector import parse_any_cursor
from herald_monitor.store import Reader
from herald_server import caller
from herald_server.hub import Hub, Watcher

Place = tuple[Cursor, int]


class Follower:
    """Tasks that match a filter of ids, as they become different."""

    def __init__(self, reader: Reader, filter_: Filter) -> None:
        self._reader = reader
        self._ready = asyncio.Event()
        self._known: dict[str, Place] = {}
        self.watcher = Watcher(filter_.within(caller.only()), self._ready.set)
        self._ids = filter_.ids or ()

    async def now(self) -> list[TaskImage]:
        """Return the tasks as they are stored; ids of which nothing is, left out."""
        found = await self._reader.tasks(self._ids)
        tasks = [task for task in found if task is not None]
        for task in tasks:
            self._known[task.id] = place_of(task)
        return tasks

    async def changes(self) -> list[TaskImage]:
        """Wait for changes and return the tasks as they are now."""
        while True:
            await self._ready.wait()
            self._ready.clear()
            if self.watcher.reset:
                self.watcher.reset = ""
                return await self.now()
            fresh = [c for c in self.watcher.take() if c.task and not c.gone]
            news = [
                c.task
                for c in fresh
                if c.task and c.place > self._known.get(c.id, (Cursor(0, 0), -1))
            ]
            for change in fresh:
                self._known[change.id] = change.place
            if news:
                return news


@asynccontextmanager
async def following(hub: Hub, reader: Reader, *ids: str) -> AsyncGenerator[Follower]:
    """Follow the tasks of `ids`; they are told from before the first `now()`."""
    follower = Follower(reader, Filter(ids=ids))
    hub.watch(follower.watcher)
    try:
        yield follower
    finally:
        hub.drop(follower.watcher)


async def until(
    hub: Hub,
    reader: Reader,
    task_id: str,
    enough: Callable[[TaskImage], bool],
    within: float,
) -> TaskImage:
    """Wait until the task is `enough`, at most `within` seconds; return it as it is.

    A task of which nothing is stored is waited for as well.
    """
    async with following(hub, reader, task_id) as follower:
        stored = await follower.now()
        task = stored[0] if stored else await reader.task(task_id)
        try:
            async with asyncio.timeout(within):
                while not enough(task):
                    task = (await follower.changes() or [task])[-1]
        except TimeoutError:
            # Without a monitor nothing is told; the result backend may know more.
            task = await reader.task(task_id)
        return task


def place_of(task: TaskImage) -> Place:
    """Return the place in the log that the `rev` of `task` names."""
    cursor, _, number = (task.rev or "0-0.0").partition(".")
    return parse_any_cursor(cursor), int(number or 0)
