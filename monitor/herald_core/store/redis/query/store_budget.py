"""The share of the server's time that scans may take. Time is an argument."""

from __future__ import annotations

from herald_core.store.ports import SCAN_SHARE

BURST_S = 0.05
"""Seconds of the server's time that a scan may take before it is slowed down."""

TRANSFER_FACTOR = 1.5
"""The server's time for a read and its transfer, as a multiple of the time that the
command itself runs. Measured by `INFO cpu` over reads of 512 records."""


class StoreBudget:
    """A token bucket of the server's time; times are seconds, `now` is monotonic.

    One bucket limits all scans of a store together.
    """

    def __init__(self, share: float = SCAN_SHARE, burst_s: float = BURST_S) -> None:
        self._share = share
        self._burst_s = burst_s
        self._left_s = burst_s
        self._at: float | None = None

    def compute_delay_s(self, used_s: float, now: float) -> float:
        """Return the seconds to wait after a command that ran for `used_s`."""
        if self._at is not None:
            refilled = self._left_s + (now - self._at) * self._share
            self._left_s = min(refilled, self._burst_s)
        self._at = now
        self._left_s -= used_s * TRANSFER_FACTOR
        return max(-self._left_s / self._share, 0.0)
