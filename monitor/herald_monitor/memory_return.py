"""Give memory back to the system some time after a burst.

What a burst leaves is freed, but stays with the process: connections and errors are
cycles, which Python seldom looks for, and the C library keeps pages in between.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import sys
from collections.abc import Callable

LOOK_EVERY_S = 5.0

GROWN_BYTES = 8 * 1024 * 1024
"""How much more than after the last time a process may have."""

STATM = "/proc/self/statm"
PAGE_BYTES = 4096


class MemoryReturn:
    """Looks how much memory is resident, and gives back what is not needed.

    `resident` returns bytes; `is_calm` says whether to look for cycles takes no more
    time than may be: it stops all else. `give_back` returns pages to the system.
    """

    def __init__(
        self,
        resident: Callable[[], int],
        give_back: Callable[[], object],
        is_calm: Callable[[], bool],
    ) -> None:
        self._resident = resident
        self._give_back = give_back
        self._is_calm = is_calm
        self._least = resident()

    def look(self) -> bool:
        """Give memory back if there is more than before; return whether it was."""
        now = self._resident()
        self._least = min(self._least, now)
        if now - self._least < GROWN_BYTES or not self._is_calm():
            return False
        gc.collect()
        self._give_back()
        # What is left is in use.
        self._least = self._resident()
        return True


async def return_often(is_calm: Callable[[], bool] = lambda: True) -> None:
    """Look every `LOOK_EVERY_S` until cancelled, where the system is Linux."""
    trim = _trim()
    if trim is None:
        return
    memory = MemoryReturn(_resident, trim, is_calm)
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        memory.look()


def _resident() -> int:
    with open(STATM, "rb") as file:
        return int(file.read().split()[1]) * PAGE_BYTES


def _trim() -> Callable[[], object] | None:
    """Return `malloc_trim(0)`; None where the system or its C library is another."""
    if sys.platform != "linux":
        return None
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except AttributeError:
        return None
    return lambda: trim(0)
