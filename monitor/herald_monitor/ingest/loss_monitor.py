"""Gaps for task starts that workers counted and no monitor received."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import TypeAlias

from herald_core.errors import HeraldError
from herald_core.model.loss.loss_detector import LossDetector, MissingStarts
from herald_core.model.workers.worker import is_outbox_writer
from herald_core.model.workers.worker_record import Worker
from herald_monitor.celery_client.workers.inspect import WorkerInspector
from herald_monitor.ingest.consumers.event_header import TaskEvent

log = logging.getLogger(__name__)

OpenGap: TypeAlias = Callable[[float, float, str, int], None]
"""Since, until (unix seconds), reason, and how many starts are missing."""

COLLECT_S = 1.0
"""Seconds in which what several workers miss becomes one gap."""

INSPECT_TIMEOUT_S = 1.0
MAX_NAMED_WORKERS = 3


class LossMonitor:
    """Compares received starts with the workers' counters; `run` opens the gaps.

    A worker counts its tasks with `send_events=False` too. So it is queried before a
    gap is opened, and no longer counted if it has any.
    """

    def __init__(self, inspection: WorkerInspector, open_gap: OpenGap) -> None:
        self.missing = 0
        self._inspection = inspection
        self._open_gap = open_gap
        self._detector = LossDetector()
        self._found: list[MissingStarts] = []
        self._has_found = asyncio.Event()

    def on_task_event(self, event: TaskEvent) -> None:
        """Record an event of a task."""
        if event.source != "event":
            return
        if event.kind == "started":
            self._detector.add_start(event.host, event.pid, event.clock)
        elif event.kind == "received":
            self._detector.track(event.host, event.pid)

    def on_worker_event(self, worker: Worker, heard: float) -> None:
        """Record an event of a worker."""
        name, clock, pid = worker.hostname, worker.last.clock, worker.last.pid
        if is_outbox_writer(worker):
            # Its events are divided among the monitors; a copy that it publishes too
            # would be counted against all that it ran.
            self._detector.reset(name, pid)
            return
        if worker.online is not None:
            self._detector.reset(name, pid)
            return
        told = worker.fields.get("processed")
        processed = int(told[1]) if told and isinstance(told[1], float) else None
        missing = self._detector.add_heartbeat(name, pid, clock, processed, heard)
        if missing is not None:
            self._found.append(missing)
            self._has_found.set()

    async def run(self) -> None:
        """Open gaps until cancelled."""
        while True:
            await self._has_found.wait()
            await asyncio.sleep(COLLECT_S)
            self._has_found.clear()
            found, self._found = self._found, []
            silent = await self._find_silent(sorted({one.hostname for one in found}))
            for hostname in silent:
                self._detector.ignore(hostname)
            self._report([one for one in found if one.hostname not in silent])

    async def _find_silent(self, hostnames: list[str]) -> set[str]:
        try:
            return await self._inspection.find_silent_workers(
                hostnames, INSPECT_TIMEOUT_S
            )
        except HeraldError as error:
            log.debug("Cannot query workers for tasks without events: %s", error)
            return set()

    def _report(self, found: Sequence[MissingStarts]) -> None:
        if not found:
            return
        number = sum(one.number for one in found)
        self.missing += number
        since = min(one.since for one in found)
        until = max(one.until for one in found)
        self._open_gap(since, until, _describe_loss(found, number), number)


def _describe_loss(found: Sequence[MissingStarts], number: int) -> str:
    names = sorted({one.hostname for one in found})
    shown = ", ".join(names[:MAX_NAMED_WORKERS]) + (
        " …" if len(names) > MAX_NAMED_WORKERS else ""
    )
    of = "worker" if len(names) == 1 else f"{len(names)} workers:"
    starts = "start of a task" if number == 1 else "starts of tasks"
    return f"{number} {starts} on {of} {shown} were counted there and not heard here"
