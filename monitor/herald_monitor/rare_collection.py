"""How seldom Python is to look for garbage that is a cycle."""

from __future__ import annotations

import gc


def collect_rarely() -> None:
    """Let Python look for cycles a seventieth as often: events leave none behind.

    Looking through all that is remembered took about 3 of 45 µs an event.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
