"""Check when workers join, and now and then, in the process with a lease."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence

import anyio
import msgspec

from herald_core.model.changes import WORKER, Change
from herald_core.model.filters import Filter
from herald_core.model.workers.worker import ONLINE, WorkerView
from herald_core.store.lease import Lease
from herald_server.push.log.hub import Hub, Subscriber

POLL_INTERVAL_S = 0.5
"""Minimum seconds between two checks: workers send events all the time."""

CHECK_INTERVAL_S = 5.0
"""Maximum seconds between two checks."""

Boot = tuple[str, int | None, str | None]
"""Hostname, pid and start time of a worker: different after each restart."""


def identify_boot(worker: WorkerView) -> Boot:
    """Return what identifies a worker from its start to its end."""
    return worker.hostname, worker.pid, worker.started_at


class OnlineBoots:
    """The workers that are online, as their changes tell. Pure."""

    def __init__(self) -> None:
        self._known: dict[str, Boot] = {}

    def note_joined(self, changes: Iterable[Change]) -> bool:
        """Return True if a worker came online with `changes`."""
        # A list: each change is noted.
        return any([self._note(change) for change in changes])

    def _note(self, change: Change) -> bool:
        known = self._known.pop(change.id, None)
        if change.is_deletion:
            return False
        worker = msgspec.json.decode(change.json, type=WorkerView)
        if worker.state != ONLINE:
            return False
        self._known[change.id] = identify_boot(worker)
        return self._known[change.id] != known


async def follow_workers(
    hub: Hub,
    lease: Lease,
    check: Callable[[], Awaitable[bool]],
    record: Callable[[Sequence[Change], bool], Awaitable[None]] | None = None,
) -> None:
    """Call `check` until cancelled; it asks whether `lease` is held.

    It returns True if it is to be called at the next heartbeat of any worker, and not
    only when a worker joins. `record` gets the changes of workers, and True if they are
    all changes since the last call.
    """
    boots, is_due, checked_at = OnlineBoots(), True, time.monotonic()
    moved = asyncio.Event()
    subscriber = Subscriber(Filter(), moved.set, WORKER)
    hub.subscribe(subscriber)
    try:
        async with lease:
            while True:
                if is_due:
                    checked_at = time.monotonic()
                    is_due = await check()
                await asyncio.sleep(POLL_INTERVAL_S)
                left_s = checked_at + CHECK_INTERVAL_S - time.monotonic()
                with anyio.move_on_after(left_s):
                    await moved.wait()
                moved.clear()
                changes, is_complete = subscriber.drain(), not subscriber.reset
                subscriber.reset = ""
                has_joined = boots.note_joined(changes)
                is_overdue = time.monotonic() >= checked_at + CHECK_INTERVAL_S
                is_due |= has_joined or is_overdue or not is_complete
                if record is not None:
                    await record(changes, is_complete)
    finally:
        hub.unsubscribe(subscriber)
