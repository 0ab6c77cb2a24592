"""What the connections of one process received, in numbers."""

from __future__ import annotations

import msgspec

from herald_server.auth.quotas.latency import SlidingHistogram


class PushMetrics(msgspec.Struct):
    """Counters of this process's connections."""

    connections: int = 0
    frames: int = 0
    bytes: int = 0
    resets: dict[str, int] = {}
    closes: dict[int, int] = {}
    refusals: dict[str, int] = {}
    pushes: SlidingHistogram = msgspec.field(default_factory=SlidingHistogram)
    """Times from the change of a task to the sending of a frame with it."""

    def count_refusal(self, reason: str) -> None:
        """Count a refusal by `reason`, one of a few fixed words."""
        self.refusals[reason] = self.refusals.get(reason, 0) + 1
