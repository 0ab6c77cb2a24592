"""A pause of a queue: nobody consumes it until it is resumed. Pure.

A pause is an item of the store, so that it holds for workers that join later. `who`
ordered it at `since` (RFC 3339). `consumers` are the workers whose consumers were
cancelled: they are added again when the queue is resumed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from herald_core.model.codec import to_json
from herald_core.model.workers.worker import LIVING_STATES, WorkerView

PAUSE_KIND = "queue-pauses"
"""The kind of items that pauses are; their id is the name of the queue."""

PAUSE_TTL_S = 90 * 86_400.0
"""Seconds for which a pause is kept after it was last stored. A server that runs
stores each one again long before."""


class PausedConsumer(msgspec.Struct, frozen=True, omit_defaults=True):
    """A consumer that was cancelled: of which process, and how it was bound.

    `pid` and `started_at` are those of the worker, as far as they are known.
    """

    pid: int | None = None
    started_at: str | None = None
    exchange: str | None = None
    exchange_type: str | None = None
    routing_key: str | None = None

    def is_same_process(self, worker: WorkerView) -> bool:
        """Return True unless `worker` has been restarted since."""
        known = (
            (self.pid, worker.pid),
            (self.started_at, worker.started_at),
        )
        return all(a == b for a, b in known if a is not None and b is not None)


class QueuePause(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A pause of `queue` by the order `order_id`.

    `is_resuming`: it is over, and the consumers that are left are to be added again.
    """

    queue: str
    who: str
    since: str
    order_id: str = ""
    consumers: dict[str, PausedConsumer] = {}
    is_resuming: bool = False
    stored_at: float = 0.0


class PauseMark(msgspec.Struct, frozen=True):
    """What a queue shows of its pause: who ordered it, and since when."""

    who: str
    since: str


def decode_pauses(items: Mapping[str, bytes]) -> dict[str, QueuePause]:
    """Return the pauses among `items`, by queue; those that cannot be read are left
    out."""
    found: dict[str, QueuePause] = {}
    for name, text in items.items():
        try:
            found[name] = msgspec.json.decode(text, type=QueuePause)
        except msgspec.MsgspecError:
            continue
    return found


def encode_pause(pause: QueuePause) -> bytes:
    """Return `pause` as the text of its item."""
    return to_json(pause)


def find_mark(pause: QueuePause | None) -> PauseMark | None:
    """Return what the queue of `pause` shows; None if it is not paused (any more)."""
    if pause is None or pause.is_resuming:
        return None
    return PauseMark(pause.who, pause.since)


def add_consumers(pause: QueuePause, found: Mapping[str, PausedConsumer]) -> QueuePause:
    """Return `pause` with the consumers that are cancelled for it."""
    return msgspec.structs.replace(pause, consumers={**pause.consumers, **found})


def select_to_resume(
    pause: QueuePause, workers: Iterable[WorkerView]
) -> dict[str, PausedConsumer]:
    """Return the consumers that are added again: of processes that still live.

    A worker that was restarted consumes the queues that it was started with.
    """
    living = {one.hostname: one for one in workers if one.state in LIVING_STATES}
    return {
        host: consumer
        for host, consumer in pause.consumers.items()
        if host in living and consumer.is_same_process(living[host])
    }
