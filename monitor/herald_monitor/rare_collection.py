"""How seldom Python is to look for garbage that is a cycle."""

from __future__ import annotations

import gc
import traceback

EVENTS = (50_000, 20, 50)
"""Events leave no cycles behind. Looking through all that is remembered took about 3 of
45 µs an event."""

CONNECTIONS = (20_000, 5, 10)
"""Each connection that ends is a cycle of some hundred objects, about 20 KB: with
`EVENTS` they added up to a hundred megabytes."""


def collect_rarely(thresholds: tuple[int, int, int] = EVENTS) -> None:
    """Let Python look for cycles more rarely than it does, and at nothing older."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*thresholds)


def release_frames(error: BaseException) -> None:
    """Let go of what the frames hold that `error` went through on its way here.

    kombu's `reraise` has the error as a local of a frame that the error refers to. Such
    a cycle keeps the message, however large, until Python looks for cycles.
    """
    # Not those of its context: that may be handled further up, in a coroutine that
    # waits, which would end.
    traceback.clear_frames(error.__traceback__)
