"""Have the C library give memory back to the system that was needed for a moment.

Left alone, glibc keeps what was freed once a large block has been: after the first it
takes blocks of up to 32 MB from its heaps, and each thread gets a heap of its own. Of
its heaps it gives back the end alone, until it is told to look through them.
"""

from __future__ import annotations

import ctypes
import resource
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

M_MMAP_THRESHOLD = -3
M_ARENA_MAX = -8
"""Numbers of `malloc.h`."""

LARGE_BYTES = 128 * 1024
"""Blocks from this size on are the system's own: they go back when they are freed."""

HEAPS = 2


GROWN = 8_000_000
"""Bytes by which a process has grown when its heaps are looked through: that takes a
few milliseconds for a hundred megabytes."""

LOOK_EVERY_S = 10.0


def return_memory() -> bool:
    """Have freed memory returned; return False where the C library is another.

    Large blocks go back at once; what is free between others, some seconds later.
    """
    if sys.platform != "linux":
        return False
    try:
        library = ctypes.CDLL(None)
        mallopt, trim = library.mallopt, library.malloc_trim
    except AttributeError:
        # musl has neither, and keeps no large blocks.
        return False
    set_ = mallopt(M_MMAP_THRESHOLD, LARGE_BYTES) and mallopt(M_ARENA_MAX, HEAPS)
    if set_:
        threading.Thread(target=_keep_trimming, args=(trim,), daemon=True).start()
    return bool(set_)


def _keep_trimming(trim: Callable[[int], int]) -> None:
    smallest = resident()
    while True:
        time.sleep(LOOK_EVERY_S)
        if resident() > smallest + GROWN:
            trim(0)
            smallest = resident()
        smallest = min(smallest, resident())


def resident() -> int:
    """Return how many bytes of memory this process holds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()
