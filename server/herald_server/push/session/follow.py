"""Follow tasks inside the server: used by MCP tools, long polls and streams.

The order is that of a WebSocket session: subscribe, then read, then compare revs.
Nothing is polled.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from herald_core.model.cursor import Cursor
from herald_core.model.filters import Filter
from herald_core.model.tasks.views import UNKNOWN, TaskView
from herald_core.model.vector_cursor import RevPosition, parse_rev
from herald_core.store.ports import TaskReader
from herald_server.auth import request_context
from herald_server.push.log.hub import Hub, Subscriber

T = TypeVar("T")

GATHER_S = 0.25
"""Seconds between two readings of a group whose members change."""

RECHECK_S = 5.0

Report = Callable[[TaskView], Awaitable[None]]


class TaskFollower:
    """Follows the tasks of a filter of ids."""

    def __init__(self, reader: TaskReader, filter_: Filter) -> None:
        self._reader = reader
        self._ready = asyncio.Event()
        self._known: dict[str, RevPosition] = {}
        self.watcher = Subscriber(
            filter_.intersect(request_context.get_task_filter()), self._ready.set
        )
        self._ids = filter_.ids or ()

    async def read(self) -> list[TaskView]:
        """Return the stored tasks; ids without a record are omitted."""
        found = await self._reader.get_tasks(self._ids)
        tasks = [task for task in found if task is not None]
        for task in tasks:
            self._known[task.id] = parse_rev(task.rev or "0-0.0")
        return tasks

    async def wait_for_changes(self) -> list[TaskView]:
        """Wait for changes and return the changed tasks."""
        while True:
            await self._ready.wait()
            self._ready.clear()
            if self.watcher.reset:
                self.watcher.reset = ""
                return await self.read()
            fresh = [c for c in self.watcher.drain() if c.task and not c.is_deletion]
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
async def follow_tasks(
    hub: Hub, reader: TaskReader, *ids: str
) -> AsyncGenerator[TaskFollower]:
    """Follow the tasks of `ids`, from before the first `now()`."""
    follower = TaskFollower(reader, Filter(ids=ids))
    hub.subscribe(follower.watcher)
    try:
        yield follower
    finally:
        hub.unsubscribe(follower.watcher)


class TaskWaiter:
    """Waits for tasks; `close` ends all waits, for a server that stops."""

    def __init__(self, hub: Hub, reader: TaskReader) -> None:
        self._hub = hub
        self._reader = reader
        self._timers: set[asyncio.Timeout] = set()
        self._closed = False

    def close(self) -> None:
        """Let all waits return now."""
        self._closed = True
        for timer in self._timers:
            timer.reschedule(asyncio.get_running_loop().time())

    async def wait_for(
        self,
        task_id: str,
        is_enough: Callable[[TaskView], bool],
        timeout_s: float,
        *,
        unknown_timeout_s: float = math.inf,
        report: Report | None = None,
    ) -> TaskView:
        """Return the task once it `is_enough`, or as it is after `timeout_s`.

        A task of which nothing is stored is waited for as well, no longer than
        `unknown_timeout_s`. Each state is reported. Raises `StoreError`.
        """
        now = asyncio.get_running_loop().time
        began = now()
        async with follow_tasks(self._hub, self._reader, task_id) as follower:
            stored = await follower.read()
            task = stored[0] if stored else await self._reader.get_task(task_id)
            while True:
                if report is not None:
                    await report(task)
                is_unknown = task.state == UNKNOWN
                limit = min(timeout_s, unknown_timeout_s) if is_unknown else timeout_s
                left = began + limit - now()
                if is_enough(task) or self._closed or left <= 0:
                    return task
                task = await self._wait_for_next(follower, task, left)

    async def wait_until(
        self,
        filter_: Filter,
        read: Callable[[], Awaitable[T]],
        is_enough: Callable[[T], bool],
        timeout_s: float,
    ) -> T:
        """Return what `read` returns once it `is_enough`, or after `timeout_s`.

        It is read again after changes of tasks that match `filter_`, at most once in
        `GATHER_S`, and every `RECHECK_S`: the size of some groups is known by time.
        """
        ready = asyncio.Event()
        watcher = Subscriber(
            filter_.intersect(request_context.get_task_filter()), ready.set
        )
        self._hub.subscribe(watcher)
        now = asyncio.get_running_loop().time
        until = now() + timeout_s
        try:
            while True:
                ready.clear()
                watcher.drain()
                watcher.reset = ""
                found, left = await read(), until - now()
                if is_enough(found) or self._closed or left <= 0:
                    return found
                await self._wait_for_event(ready, min(left, RECHECK_S))
                await asyncio.sleep(min(GATHER_S, max(until - now(), 0.0)))
        finally:
            self._hub.unsubscribe(watcher)

    async def _wait_for_event(self, event: asyncio.Event, timeout_s: float) -> None:
        """Wait for `event`, or until the time is over or the waiter is closed."""
        timer = asyncio.timeout(timeout_s)
        try:
            async with timer:
                self._timers.add(timer)
                await event.wait()
        except TimeoutError:
            return
        finally:
            self._timers.discard(timer)

    async def _wait_for_next(
        self, follower: TaskFollower, task: TaskView, timeout_s: float
    ) -> TaskView:
        timer = asyncio.timeout(timeout_s)
        try:
            async with timer:
                self._timers.add(timer)
                return (await follower.wait_for_changes() or [task])[-1]
        except TimeoutError:
            # Without a monitor there are no changes; the result backend may know more.
            return await self._reader.get_task(task.id)
        finally:
            self._timers.discard(timer)
