"""How much CPU time goes into taking apart what one client sends.

A client can send what takes a thousand times as long to parse as to send: bodies in
chunks of one byte, pings, pieces of messages. So all that arrives is parsed in slices,
and the time that they take is counted.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any, cast

from herald_server.cpu_budget import Account
from herald_server.limits import Allowance
from herald_server.waiting_turns import LATE_S, NAP_S

SLICE = 2_048
"""Bytes that are parsed at once: a few milliseconds, whatever they are."""

READ_AT_ONCE = 4_096
"""Bytes that are read from one client before others have a turn."""

FREE_S_PER_BYTE = 1e-7
"""Seconds of CPU time that a byte may take: four times what a usual body takes."""

BURST_S = 0.03
REFILL = 0.02
MOST_A_SLICE_S = 0.01
"""Seconds of CPU time beyond that at once, and then a second.

No slice counts for more than `MOST_A_SLICE_S`: Python may have collected its garbage.
"""


DEAR_S = 0.0005
"""Seconds of CPU time from which a slice counts as dear; a usual message takes less."""


class ParseBudget:
    """The CPU time that one connection may still take. Times are in seconds.

    All of it is charged to `account` too: to a token, or to an address before one.
    """

    __slots__ = ("_allowance", "_was_dear", "account")

    def __init__(self) -> None:
        self._allowance = Allowance(BURST_S, REFILL)
        self._was_dear = False
        self.account: Account | None = None

    def spend(self, work: Callable[[bytes], None], data: bytes, now: float) -> bool:
        """Do `work` on `data`; return False if it took more than is left."""
        begun = time.thread_time()
        work(data)
        took = min(time.thread_time() - begun, MOST_A_SLICE_S)
        if self.account is not None:
            self.account.charge(took, now)
        charge = took - len(data) * FREE_S_PER_BYTE
        self._was_dear = charge >= DEAR_S
        return charge <= 0 or self._allowance.wait(charge, now) == 0.0

    def rest(
        self,
        loop: asyncio.AbstractEventLoop,
        transport: asyncio.Transport,
        is_paused: Callable[[], bool],
    ) -> None:
        """Read nothing more of a client whose account is in debt, if that took long.

        It goes on once the loop has time, unless something else has paused it.
        """
        if self._was_dear and self._is_owed(loop.time()):
            transport.pause_reading()
            due = loop.time() + NAP_S
            loop.call_later(NAP_S, self._look, loop, transport, is_paused, due)

    def _look(
        self,
        loop: asyncio.AbstractEventLoop,
        transport: asyncio.Transport,
        is_paused: Callable[[], bool],
        due: float,
    ) -> None:
        if loop.time() - due >= LATE_S and not transport.is_closing():
            self.rest(loop, transport, is_paused)
        elif not is_paused() and not transport.is_closing():
            transport.resume_reading()

    def _is_owed(self, now: float) -> bool:
        return self.account is not None and self.account.debt(now) > 0.0


def slices(data: bytes) -> Iterator[bytes]:
    """Yield `data` in parts of at most `SLICE` bytes."""
    if len(data) <= SLICE:
        yield data
        return
    for at in range(0, len(data), SLICE):
        yield data[at : at + SLICE]


def read_little(transport: asyncio.BaseTransport) -> None:
    """Have asyncio read `READ_AT_ONCE` bytes at a time, where it can be told so."""
    if hasattr(transport, "max_size"):
        cast(Any, transport).max_size = READ_AT_ONCE
