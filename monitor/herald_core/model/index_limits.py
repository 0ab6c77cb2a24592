"""The limits of separately indexed values. Pure."""

from __future__ import annotations

from typing import NamedTuple


class IndexLimits(NamedTuple):
    """The maximum number of separately indexed values of each of the `BOUNDED_KEYS`.

    Tasks of further values are found through one shared index.
    """

    name: int = 2_000
    worker: int = 5_000
    queue: int = 2_000
    tag: int = 20_000
    failure: int = 2_000
