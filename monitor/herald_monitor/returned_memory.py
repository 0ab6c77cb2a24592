"""Give memory back to the system that was needed for a moment.

Left alone, glibc keeps what was freed once a large block has been: after the first it
takes blocks of up to 32 MB from its heaps, and each thread gets a heap of its own. Of
its heaps it gives back the end alone, until it is told to look through them. And
connections and errors are cycles, which Python seldom looks for.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import resource
import sys
from collections.abc import Callable
from typing import Any

M_MMAP_THRESHOLD = -3
M_ARENA_MAX = -8
"""Numbers of `malloc.h`."""

LARGE_BYTES = 128 * 1024
"""Blocks from this size on are the system's own: they go back when they are freed."""

HEAPS = 2

LOOK_EVERY_S = 5.0

GROWN_BYTES = 8 * 1024 * 1024
"""How much more than after the last time a process may have."""


def return_large_blocks() -> bool:
    """Have large blocks returned at once; return False where the C library cannot."""
    mallopt = _of_c_library("mallopt")
    if mallopt is None:
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, LARGE_BYTES) and mallopt(M_ARENA_MAX, HEAPS))


async def return_often(is_calm: Callable[[], bool] = lambda: True) -> None:
    """Look every `LOOK_EVERY_S` until cancelled, where the C library can give back."""
    trim = _of_c_library("malloc_trim")
    if trim is None:
        return
    memory = MemoryReturn(resident_bytes, lambda: trim(0), is_calm)
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        memory.look()


class MemoryReturn:
    """Looks how much memory is resident, and gives back what is not needed.

    `resident` returns bytes; `give_back` returns pages to the system, which takes two
    milliseconds. `is_calm` says whether all garbage may be looked for, which takes ten
    or more: both stop all else.
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
        self._may_have_garbage = False

    def look(self) -> bool:
        """Give memory back if there is more than before; return whether it was."""
        now, calm = self._resident(), self._is_calm()
        self._least = min(self._least, now)
        has_grown = now - self._least >= GROWN_BYTES
        if not has_grown and not (calm and self._may_have_garbage):
            return False
        if calm:
            gc.collect()
        self._may_have_garbage = not calm
        self._give_back()
        # What is left is in use.
        self._least = self._resident()
        return True


def resident_bytes() -> int:
    """Return how much memory this process holds."""
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def _of_c_library(name: str) -> Any:
    """Return a function of glibc; None where the system or its C library is another."""
    if sys.platform != "linux":
        return None
    # musl has none of those that are asked for, and keeps no large blocks.
    return getattr(ctypes.CDLL(None), name, None)
