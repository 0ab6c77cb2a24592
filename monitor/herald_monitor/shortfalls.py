"""Task starts that workers counted and nobody heard, made into gaps."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import TypeAlias

from herald_monitor.errors import HeraldError
from herald_monitor.inspection import Inspection
from herald_monitor.model.counting import Counting, Missing
from herald_monitor.model.workers import Worker
from herald_monitor.unread import Told

log = logging.getLogger(__name__)

OpenGap: TypeAlias = Callable[[float, float, str, int], None]
"""Since, until (unix seconds), reason, and how many starts are missing."""

GATHER = 1.0
"""Seconds in which what several workers miss becomes one gap."""

ASK_WITHIN = 1.0
NAMED = 3


class Shortfalls:
    """Compares what is heard with what workers count; `run` opens the gaps.

    A worker that has tasks with `send_events=False` counts those too, so it is
    asked before it is believed, and then counted no more.
    """

    def __init__(self, inspection: Inspection, open_gap: OpenGap) -> None:
        self.missing = 0
        self._inspection = inspection
        self._open_gap = open_gap
        self._counting = Counting()
        self._found: list[Missing] = []
        self._some = asyncio.Event()

    def hear(self, event: Told) -> None:
        """Note what a worker said of a task."""
        if event.source != "event":
            return
        if event.kind == "started":
            self._counting.started(event.host, event.pid, event.clock)
        elif event.kind == "received":
            self._counting.spoke(event.host, event.pid)

    def hear_worker(self, worker: Worker, heard: float) -> None:
        """Note what a worker said of itself."""
        name, clock, pid = worker.hostname, worker.last.clock, worker.last.pid
        if worker.online is not None:
            self._counting.online(name, pid)
            return
        told = worker.told.get("processed")
        processed = int(told[1]) if told and isinstance(told[1], float) else None
        missing = self._counting.beat(name, pid, clock, processed, heard)
        if missing is not None:
            self._found.append(missing)
            self._some.set()

    async def run(self) -> None:
        """Open gaps until cancelled."""
        while True:
            await self._some.wait()
            await asyncio.sleep(GATHER)
            self._some.clear()
            found, self._found = self._found, []
            silent = await self._silent(sorted({one.hostname for one in found}))
            for hostname in silent:
                self._counting.excuse(hostname)
            self._tell([one for one in found if one.hostname not in silent])

    async def _silent(self, hostnames: list[str]) -> set[str]:
        try:
            return await self._inspection.silent_tasks(hostnames, ASK_WITHIN)
        except HeraldError as error:
            log.debug("cannot ask for tasks without events: %s", error)
            return set()

    def _tell(self, found: Sequence[Missing]) -> None:
        if not found:
            return
        number = sum(one.number for one in found)
        self.missing += number
        since = min(one.since for one in found)
        until = max(one.until for one in found)
        self._open_gap(since, until, _reason(found, number), number)


def _reason(found: Sequence[Missing], number: int) -> str:
    names = sorted({one.hostname for one in found})
    shown = ", ".join(names[:NAMED]) + (" …" if len(names) > NAMED else "")
    of = "worker" if len(names) == 1 else f"{len(names)} workers:"
    starts = "start of a task" if number == 1 else "starts of tasks"
    return f"{number} {starts} on {of} {shown} were counted there and not heard here"
