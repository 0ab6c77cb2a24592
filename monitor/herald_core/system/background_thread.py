"""Long work on a thread that leaves the interpreter to the loop most of the time.

A computing thread releases the interpreter lock only some milliseconds after a request.
An event loop requests it after each read of the network; with hundreds of clients these
delays add up to seconds. So the thread pauses by itself.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any, TypeVar

Answer = TypeVar("Answer")

MAX_WORK_S = 0.001
"""Seconds of work after which there is a rest."""

REST_FACTOR = 2.0
"""The ratio of a pause to the work before it."""

MAX_REST_S = 0.02


def run_with_rests(work: Callable[[], Answer]) -> Answer:
    """Return the result of `work`, called on its own thread with pauses in between.

    Python's profiler hook runs at each call on this thread; it makes the pauses.
    """
    since = time.perf_counter()

    def rest(_frame: Any, _event: str, _given: Any) -> None:
        nonlocal since
        worked = time.perf_counter() - since
        if worked >= MAX_WORK_S:
            time.sleep(min(worked * REST_FACTOR, MAX_REST_S))
            since = time.perf_counter()

    sys.setprofile(rest)
    try:
        return work()
    finally:
        sys.setprofile(None)
