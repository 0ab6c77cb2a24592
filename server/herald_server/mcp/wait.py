"""The tool that waits: told of each change, never asking again."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any

from fastmcp import Context, FastMCP
from pydantic import Field

from herald_monitor.model import shape
from herald_monitor.model.shape import TaskImage
from herald_monitor.store import Reader
from herald_server.catalog import Catalog
from herald_server.durations import Durations
from herald_server.following import Follower, following
from herald_server.held_values import holding_values
from herald_server.hub import Hub
from herald_server.mcp import describing
from herald_server.mcp.access import demand, refusing
from herald_server.mcp.active import checked_id
from herald_server.mcp.answers import AwaitedTask
from herald_server.mcp.arguments import TaskId, add_reading
from herald_server.mcp.results import Results

CAP = 45.0
"""Seconds after which clients begin to give up on a call (60 s is common)."""

UNHEARD = 2.0
"""Seconds in which an id that nobody knows may still be heard of: its task may
have been sent a moment ago, by somebody else."""


class Waiting:
    """The tool `wait_for_task`."""

    def __init__(
        self,
        hub: Hub,
        reader: Reader,
        catalog: Catalog,
        results: Results,
        durations: Durations,
    ) -> None:
        self._durations = durations
        self._hub = hub
        self._reader = reader
        self._catalog = catalog
        self._results = results
        self._ending: set[asyncio.Timeout] = set()
        self._closed = False

    def close(self) -> None:
        """Let all calls answer now."""
        self._closed = True
        for patience in self._ending:
            patience.reschedule(asyncio.get_running_loop().time())

    def register(self, mcp: FastMCP[Any]) -> None:
        """Add the tool to `mcp`."""
        add_reading(mcp, self.wait_for_task, "Wait for a task")

    async def wait_for_task(
        self,
        ctx: Context,
        task_id: TaskId,
        timeout_s: Annotated[
            float, Field(ge=0, le=CAP, description="Seconds to wait at most; up to 45")
        ] = CAP,
    ) -> AwaitedTask:
        """Wait until a task ends, at most 45 s, and return its status and result.

        Answers the moment the task ends, and reports progress meanwhile. If
        `done` is false the task still runs: call again with the same task_id,
        nothing is lost. Giving up waiting does not cancel the task.
        """
        with refusing():
            demand("read", "wait_for_task")
            told = Telling(ctx)
            with holding_values(1):
                task = await self._until_over(checked_id(task_id), timeout_s, told)
            measured = await self._durations.of(task.name)
        outcome = await self._results.of(task)
        fields = describing.told(task, self._catalog, outcome, measured)
        done = describing.over(task)
        if not done and task.state != shape.UNKNOWN:
            fields["message"] += describing.say_waited(task, time.time())
        return AwaitedTask(**fields, done=done)

    async def _until_over(
        self, task_id: str, seconds: float, told: Telling
    ) -> TaskImage:
        async with following(self._hub, self._reader, task_id) as follower:
            stored = await follower.now()
            task = stored[0] if stored else await self._reader.task(task_id)
            now = asyncio.get_running_loop().time
            until = now() + seconds
            if task.state == shape.UNKNOWN:
                task = await self._next(follower, task, min(seconds, UNHEARD))
            while task.state != shape.UNKNOWN:
                await told(task)
                if describing.over(task) or self._closed or now() >= until:
                    break
                task = await self._next(follower, task, until - now())
            return task

    async def _next(
        self, follower: Follower, task: TaskImage, seconds: float
    ) -> TaskImage:
        """Return the task as it becomes, or as it is after `seconds`."""
        patience = asyncio.timeout(seconds)
        try:
            async with patience:
                self._ending.add(patience)
                return (await follower.changes() or [task])[-1]
        except TimeoutError:
            # Without a monitor nothing is told; the result backend may know more.
            return await self._reader.task(task.id)
        finally:
            self._ending.discard(patience)


class Telling:
    """Reports a task's progress on a call: what changed, and never backwards."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._said = ""
        self._at = -1.0

    async def __call__(self, task: TaskImage) -> None:
        """Report `task` if it says anything new."""
        percent = describing.progress_of(task)
        said = _words(task)
        if said == self._said and (percent is None or percent <= self._at):
            return
        # The protocol wants each number above the one before, so a change without
        # a percentage moves it by a hair. 100 is kept for the end.
        at = self._at + 0.001 if self._at >= 0 else 0.0
        at = max(at, percent if task.final else min(percent, 99.9)) if percent else at
        self._said, self._at = said, at
        await self._ctx.report_progress(round(at, 3), 100.0, said)


def _words(task: TaskImage) -> str:
    said = task.progress.message if task.progress else None
    state = describing.status_of(task)
    return f"{state}: {said}" if said else state
