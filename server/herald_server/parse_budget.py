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

from herald_server.limits import Allowance

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


class ParseBudget:
    """The CPU time that one connection may still take. Times are in seconds."""

    __slots__ = ("_allowance",)

    def __init__(self) -> None:
        self._allowance = Allowance(BURST_S, REFILL)

    def spend(self, work: Callable[[bytes], None], data: bytes, now: float) -> bool:
        """Do `work` on `data`; return False if it took more than is left."""
        begun = time.thread_time()
        work(data)
        took = time.thread_time() - begun - len(data) * FREE_S_PER_BYTE
        charge = min(took, MOST_A_SLICE_S)
        return charge <= 0 or self._allowance.wait(charge, now) == 0.0


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
