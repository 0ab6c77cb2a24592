"""Tuning of Python's cyclic garbage collector."""

from __future__ import annotations

import gc
import traceback

EVENT_THRESHOLDS = (50_000, 20, 50)
"""Events leave no cycles behind. Looking through all that is remembered took about 3 of
45 µs an event."""

CONNECTION_THRESHOLDS = (20_000, 5, 10)
"""Each connection that ends is a cycle of some hundred objects, about 20 KB: with
`EVENT_THRESHOLDS` they added up to a hundred megabytes."""


def tune_gc(thresholds: tuple[int, int, int] = EVENT_THRESHOLDS) -> None:
    """Let Python look for cycles more rarely than it does, and at nothing older."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*thresholds)


def release_frames(error: BaseException) -> None:
    """Clear the locals of the frames that `error` passed through.

    kombu's `reraise` has the error as a local of a frame that the error refers to. Such
    a cycle holds the message, however large, until the next garbage collection.
    """
    # Not those of its context: that may be handled further up, in a coroutine that
    # waits, which would end.
    traceback.clear_frames(error.__traceback__)
