"""Return memory to the operating system after a short need.

After it has freed one large block, glibc takes blocks of up to 32 MB from its heaps,
and each thread gets its own heap. It returns only the end of a heap unless
`malloc_trim` is called. Connections and errors are cycles, which Python seldom
collects.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import resource
import sys
from collections.abc import Callable
from typing import Any

M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3
M_ARENA_MAX = -8
"""Numbers of `malloc.h`."""

LARGE_BYTES = 512 * 1024
"""Blocks from this size on are the system's own: they go back when they are freed.

asyncio takes a block of 256 KB for each read of a socket. With a smaller limit the
system mapped, cleared and unmapped it each time: 19 µs a read instead of 3."""

SPARE_BYTES = 1024 * 1024
"""Free bytes at the end of a heap from which on they go back."""

MAX_HEAPS = 2

POLL_INTERVAL_S = 5.0

MIN_GROWTH_BYTES = 8 * 1024 * 1024
"""The allowed growth of memory since the last release."""


def return_large_blocks() -> bool:
    """Have large blocks returned at once, and no others.

    Return False where the C library cannot.
    """
    mallopt = _find_libc_function("mallopt")
    if mallopt is None:
        return False
    return all(
        (
            mallopt(M_MMAP_THRESHOLD, LARGE_BYTES),
            mallopt(M_TRIM_THRESHOLD, SPARE_BYTES),
            mallopt(M_ARENA_MAX, MAX_HEAPS),
        )
    )


async def return_periodically(is_calm: Callable[[], bool] = lambda: True) -> None:
    """Release memory every `POLL_INTERVAL_S` until cancelled, where libc can do it."""
    trim = _find_libc_function("malloc_trim")
    if trim is None:
        return
    memory = MemoryReleaser(read_resident_bytes, lambda: trim(0), is_calm)
    while True:
        await asyncio.sleep(POLL_INTERVAL_S)
        memory.release()


class MemoryReleaser:
    """A watcher of resident memory that returns unused memory.

    `resident` returns bytes; `give_back` returns pages to the system, which takes two
    milliseconds. `is_calm` returns True if a full garbage collection may run, which
    takes ten or more. Both stop all other work.
    """

    def __init__(
        self,
        resident: Callable[[], int],
        give_back: Callable[[], object],
        is_calm: Callable[[], bool],
    ) -> None:
        self._resident = resident
        self._trim = give_back
        self._is_calm = is_calm
        self._lowest_bytes = resident()
        self._may_have_garbage = False

    def release(self) -> bool:
        """Give memory back if there is more than before; return whether it was."""
        now, calm = self._resident(), self._is_calm()
        self._lowest_bytes = min(self._lowest_bytes, now)
        has_grown = now - self._lowest_bytes >= MIN_GROWTH_BYTES
        if not has_grown and not (calm and self._may_have_garbage):
            return False
        if calm:
            gc.collect()
        self._may_have_garbage = not calm
        self._trim()
        # The rest is in use.
        self._lowest_bytes = self._resident()
        return True


def read_resident_bytes() -> int:
    """Return how much memory this process holds."""
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def _find_libc_function(name: str) -> Any:
    """Return a function of glibc; None where the system or its C library is another."""
    if sys.platform != "linux":
        return None
    # musl has none of these functions, and caches no large blocks.
    return getattr(ctypes.CDLL(None), name, None)
