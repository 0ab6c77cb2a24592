"""Have the C library give memory back to the system that one large text needed.

Left alone, glibc keeps what was freed once a large block has been: after the first it
takes blocks of up to 32 MB from its heaps, and each thread gets a heap of its own.
"""

from __future__ import annotations

import ctypes
import sys

M_MMAP_THRESHOLD = -3
M_ARENA_MAX = -8
"""Numbers of `malloc.h`."""

LARGE_BYTES = 128 * 1024
"""Blocks from this size on are the system's own: they go back when they are freed."""

HEAPS = 2


def return_memory() -> bool:
    """Have large blocks returned; return False where the C library is another."""
    if sys.platform != "linux":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:
        # musl has none, and keeps no large blocks.
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, LARGE_BYTES) and mallopt(M_ARENA_MAX, HEAPS))
