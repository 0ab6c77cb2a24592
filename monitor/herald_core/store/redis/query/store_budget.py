"""The share of the server's time that scans may take. Time is an argument."""

from __future__ import annotations

from herald_core.store.ports import SCAN_SHARE

BURST_S = 0.05
"""Seconds of the server's time that a scan may take before it is slowed down."""

TRANSFER_FACTOR = 2.2
"""The server's time for a read, with what it takes to receive the commands and to send
the replies, as a multiple of the time that the commands run. Measured by `INFO cpu`
over reads of 512 records."""


class StoreBudget:
    """A token bucket of the server's time; times are seconds, `now` is monotonic.

    One bucket limits all scans of a store together.
    """

    def __init__(self, share: float = SCAN_SHARE, burst_s: float = BURST_S) -> None:
        self._share = share
        self._burst_s = burst_s
        self._left_s = burst_s
        self._at: float | None = None

    def compute_delay_s(self, now: float) -> float:
        """Return the seconds to wait before the next command."""
        if self._at is not None:
            refilled = self._left_s + (now - self._at) * self._share
            self._left_s = min(refilled, self._burst_s)
        self._at = now
        return max(-self._left_s / self._share, 0.0)

    def charge(self, used_s: float) -> None:
        """Count a command that ran for `used_s`."""
        self._left_s -= used_s * TRANSFER_FACTOR
