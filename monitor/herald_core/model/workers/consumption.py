"""The last time that each worker took messages, from its own counters. Pure.

RabbitMQ lets a consumer prefetch messages (`worker_prefetch_multiplier`) and no longer
shows them. A worker with many greenlets prefetches thousands, and sends `task-received`
only for those it has processed. So a waiting task in no queue may be with a consumer,
until that consumer takes nothing for a while.
"""

from __future__ import annotations

from collections.abc import Mapping, Set

from herald_core.model.workers.worker import ONLINE, WorkerView

COOPERATIVE_POOLS = frozenset({"gevent", "eventlet"})
"""Pools without a free slot whose worker takes no more messages."""


class ConsumptionTracker:
    """The time of the last change of each worker's count of accepted tasks."""

    def __init__(self) -> None:
        self._counts: dict[str, tuple[int | None, float]] = {}

    def record(self, workers: Mapping[str, WorkerView], now: float) -> None:
        """Record the counters of `workers` at `now` (unix seconds)."""
        for hostname, one in workers.items():
            before, _ = self._counts.get(hostname, (None, 0.0))
            if one.processed is None or one.processed != before or _is_at_capacity(one):
                self._counts[hostname] = one.processed, now
        for hostname in self._counts.keys() - workers.keys():
            del self._counts[hostname]

    def find_last_taken(
        self, consumed: Mapping[str, Set[str]], workers: Mapping[str, WorkerView]
    ) -> dict[str, float]:
        """Return when an online worker last took a message, by queue (unix seconds).

        `consumed` is by hostname the queues that a worker consumes.
        """
        taken: dict[str, float] = {}
        for hostname, queues in consumed.items():
            one = workers.get(hostname)
            if one is not None and one.state == ONLINE:
                _, at = self._counts.get(hostname, (None, 0.0))
                taken |= {queue: max(at, taken.get(queue, 0.0)) for queue in queues}
        return taken


def _is_at_capacity(one: WorkerView) -> bool:
    return one.pool in COOPERATIVE_POOLS and (one.active or 0) >= (one.slots or 1)
