"""The delay between two tries."""

from __future__ import annotations

import random


def compute_pause(first: float, longest: float, tries: int, jitter: float) -> float:
    """Return `first` seconds doubled `tries` times, less the share `jitter`."""
    # Bounded before it is raised: 2.0 ** 1100 is an error.
    return min(first * 2.0 ** min(tries, 60), longest) * (1 - jitter)


class Backoff:
    """Pauses that double from `first` to `longest` seconds until `reset`.

    Chance takes up to the share `jitter` of each, so that clients of one server do
    not all return at the same moment.
    """

    def __init__(self, first: float, longest: float, jitter: float = 0.5) -> None:
        self.tries = 0
        self._first = first
        self._longest = longest
        self._jitter = jitter

    def next_pause(self) -> float:
        """Return the seconds until the next try."""
        jitter = self._jitter * random.random()
        self.tries += 1
        return compute_pause(self._first, self._longest, self.tries - 1, jitter)

    def reset(self) -> None:
        """Start again with the first pause."""
        self.tries = 0
