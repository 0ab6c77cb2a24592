"""When workers last took messages, read off their own counts. Pure.

RabbitMQ gives a consumer messages ahead (`worker_prefetch_multiplier`) and shows them
no more. A worker with many greenlets works through thousands of them, and says
`task-received` only of those that it has looked at. So what waits and lies in no queue
may be with a consumer, until that one took nothing for a while.
"""

from __future__ import annotations

from collections.abc import Mapping, Set

from herald_monitor.model.workers import ONLINE, WorkerImage

HELD_UP_BY_ITS_POOL = frozenset({"gevent", "eventlet"})
"""Pools without a free slot that keep their worker from taking more messages."""


class Consumption:
    """Remembers of each worker when its count of accepted tasks last changed."""

    def __init__(self) -> None:
        self._counts: dict[str, tuple[int | None, float]] = {}

    def note(self, workers: Mapping[str, WorkerImage], now: float) -> None:
        """Note what `workers` count at `now` (unix seconds)."""
        for hostname, one in workers.items():
            before, _ = self._counts.get(hostname, (None, 0.0))
            if one.processed is None or one.processed != before or _is_full(one):
                self._counts[hostname] = one.processed, now
        for hostname in self._counts.keys() - workers.keys():
            del self._counts[hostname]

    def last_taken(
        self, consumed: Mapping[str, Set[str]], workers: Mapping[str, WorkerImage]
    ) -> dict[str, float]:
        """Return when a living worker last took a message, by queue (unix seconds).

        `consumed` is by hostname the queues that a worker consumes.
        """
        taken: dict[str, float] = {}
        for hostname, queues in consumed.items():
            one = workers.get(hostname)
            if one is not None and one.state == ONLINE:
                _, at = self._counts.get(hostname, (None, 0.0))
                taken |= {queue: max(at, taken.get(queue, 0.0)) for queue in queues}
        return taken


def _is_full(one: WorkerImage) -> bool:
    return one.pool in HELD_UP_BY_ITS_POOL and (one.active or 0) >= (one.slots or 1)
