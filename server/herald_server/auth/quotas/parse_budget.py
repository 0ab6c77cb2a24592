"""Bound the CPU time spent on parsing one client's data.

Some data takes a thousand times as long to parse as to send: bodies in chunks of one
byte, pings, fragments of messages. All received data is therefore parsed in slices, and
their time is counted.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, cast

from herald_server.auth.quotas.cpu_budget import Account
from herald_server.auth.quotas.cpu_queue import MAX_LATENESS_S, POLL_INTERVAL_S
from herald_server.auth.quotas.token_bucket import TokenBucket

SLICE_BYTES = 2_048
"""Bytes that are parsed at once: a few milliseconds for any content."""

READ_BYTES = 4_096
"""Bytes that are read from one client before other clients are served."""

FREE_S_PER_BYTE = 1e-7
"""Free seconds of CPU time per byte: four times those of a typical body."""

BURST_S = 0.03
REFILL_SHARE = 0.02
MAX_SLICE_S = 0.01
"""Seconds of CPU time beyond that at once, and then a second.

No slice counts for more than `MAX_SLICE_S`: Python may have collected its garbage.
"""


COSTLY_S = 0.0005
"""Seconds of CPU time from which a slice counts as costly. A typical message takes
less."""


class ParseBudget:
    """The parse budget of one connection. Times are in seconds.

    All of it is charged to `account` too: that of the token, or of the address before
    one.
    """

    __slots__ = ("_bucket", "_was_costly", "account")

    def __init__(self) -> None:
        self._bucket = TokenBucket(BURST_S, REFILL_SHARE)
        self._was_costly = False
        self.account: Account | None = None

    def spend(self, work: Callable[[bytes], None], data: bytes, now: float) -> bool:
        """Run `work` on `data`; return False if the budget is exceeded."""
        begun = time.thread_time()
        work(data)
        took = min(time.thread_time() - begun, MAX_SLICE_S)
        if self.account is not None:
            self.account.charge(took, now)
        charge = took - len(data) * FREE_S_PER_BYTE
        self._was_costly = charge >= COSTLY_S
        return charge <= 0 or self._bucket.acquire_or_wait(charge, now) == 0.0

    def pause_reading(
        self,
        loop: asyncio.AbstractEventLoop,
        transport: asyncio.Transport,
        is_paused: Callable[[], bool],
    ) -> None:
        """Pause reading if the account is in debt and the last slice was costly.

        Reading resumes once the loop is idle, unless something else has paused it.
        """
        if self._was_costly and self._has_debt(loop.time()):
            transport.pause_reading()
            due = loop.time() + POLL_INTERVAL_S
            loop.call_later(
                POLL_INTERVAL_S,
                self._resume_when_solvent,
                loop,
                transport,
                is_paused,
                due,
            )

    def _resume_when_solvent(
        self,
        loop: asyncio.AbstractEventLoop,
        transport: asyncio.Transport,
        is_paused: Callable[[], bool],
        due: float,
    ) -> None:
        if loop.time() - due >= MAX_LATENESS_S and not transport.is_closing():
            self.pause_reading(loop, transport, is_paused)
        elif not is_paused() and not transport.is_closing():
            transport.resume_reading()

    def _has_debt(self, now: float) -> bool:
        return self.account is not None and self.account.compute_debt(now) > 0.0


def limit_read_size(transport: asyncio.BaseTransport) -> None:
    """Make asyncio read `READ_BYTES` bytes at a time, where that is possible."""
    if hasattr(transport, "max_size"):
        cast(Any, transport).max_size = READ_BYTES
