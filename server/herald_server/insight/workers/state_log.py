"""A log of when workers started, fell silent and ended, as a server saw it.

It is one bounded list of the store. What changes while no server runs is not seen: the
next server then records the state that it finds.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from herald_core.model.codec import to_json
from herald_core.model.tasks.views import to_rfc3339
from herald_core.model.workers.worker import ONLINE, WorkerView
from herald_core.store.key_value import KeyValueStore

LOG_KIND = "worker-states"
MAX_LINES = 10_000
"""Changes that are kept, the newest."""

RETENTION_S = 8 * 86_400.0

STARTED = "started"


class StateChange(msgspec.Struct, frozen=True, omit_defaults=True):
    """A change of a worker at `at` (RFC 3339).

    `state` is `started`, or the state of the worker: `online` after it had been silent,
    `draining`, `silent` or `offline`.
    """

    at: str
    worker: str
    state: str
    pid: int | None = None
    release: str | None = None
    software: str | None = None


Known = tuple[str, int | None, str | None]
"""The state, pid and start of a worker, as recorded last."""


class StateLog:
    """Records the changes of workers."""

    def __init__(self, items: KeyValueStore) -> None:
        self._items = items
        self._known: dict[str, Known] = {}

    async def load(self) -> None:
        """Read what is recorded, by this process or another. Raises `StoreError`."""
        self._known.clear()
        for change in reversed(await self.list_changes()):
            state = ONLINE if change.state == STARTED else change.state
            started = change.at if change.state == STARTED else None
            before = self._known.get(change.worker, ("", None, None))
            self._known[change.worker] = (
                state,
                change.pid or before[1],
                started or before[2],
            )

    async def record(self, workers: Iterable[WorkerView], now: float) -> None:
        """Record the workers that changed. Raises `StoreError`."""
        for worker in workers:
            change = find_change(self._known.get(worker.hostname), worker, now)
            self._known[worker.hostname] = _identify(worker)
            if change is not None:
                await self._items.push_line(
                    LOG_KIND, to_json(change), MAX_LINES, RETENTION_S
                )

    async def list_changes(self, hostname: str | None = None) -> list[StateChange]:
        """Return the changes of one worker or of all, newest first.

        Raises `StoreError`.
        """
        lines = await self._items.read_lines(LOG_KIND, MAX_LINES)
        found = [msgspec.json.decode(line, type=StateChange) for line in lines]
        return [one for one in found if hostname in (None, one.worker)]


def find_change(
    known: Known | None, worker: WorkerView, now: float
) -> StateChange | None:
    """Return the change from `known` to `worker`; None if there is none. Pure.

    A worker is silent and ends at its last sign of life.
    """
    found = _identify(worker)
    if known is not None and found[0] == known[0] and _is_same_start(known, found):
        return None
    state, at = worker.state, worker.last_heartbeat_at or to_rfc3339(now)
    if state == ONLINE and (known is None or not _is_same_start(known, found)):
        if worker.started_at:
            state, at = STARTED, worker.started_at
        else:
            at = to_rfc3339(now)
    elif state == ONLINE:
        at = to_rfc3339(now)
    return StateChange(
        at, worker.hostname, state, worker.pid, worker.release, worker.software
    )


def _identify(worker: WorkerView) -> Known:
    return worker.state, worker.pid, worker.started_at


def _is_same_start(known: Known, found: Known) -> bool:
    pairs = zip(known[1:], found[1:], strict=True)
    return all(a == b for a, b in pairs if a is not None and b is not None)
