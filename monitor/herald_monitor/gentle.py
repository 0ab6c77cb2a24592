"""Long work on a thread that leaves the interpreter to the loop most of the time.

A thread that computes makes way for others only when they ask, a moment later. A loop
asks each time it comes back from the network: with hundreds of clients these moments
add up to seconds. So the thread stops of its own accord.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any, TypeVar

Answer = TypeVar("Answer")

WORK_S = 0.001
"""Seconds of work after which there is a rest."""

REST = 2.0
"""How many times as long the rest is."""

MAX_REST_S = 0.02


def gently(work: Callable[[], Answer]) -> Answer:
    """Return what `work` does, called on a thread of its own, with rests in between.

    Python's profiler is told of each call on this thread; that is where it rests.
    """
    since = time.perf_counter()

    def rest(_frame: Any, _event: str, _given: Any) -> None:
        nonlocal since
        worked = time.perf_counter() - since
        if worked >= WORK_S:
            time.sleep(min(worked * REST, MAX_REST_S))
            since = time.perf_counter()

    sys.setprofile(rest)
    try:
        return work()
    finally:
        sys.setprofile(None)
