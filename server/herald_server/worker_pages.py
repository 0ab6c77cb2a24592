"""Lists of workers in parts: by name, and those first that need a look. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from herald_monitor.errors import BadInput
from herald_monitor.model.workers import (
    DRAINING,
    OFFLINE,
    ONLINE,
    SILENT,
    WorkerImage,
)

MOST_WORKERS = 5_000
"""Workers in one answer. Whoever gives no limit gets as many."""

FIRST_SCREEN = 500
"""Workers in the overview."""

URGENCY = {SILENT: 0, DRAINING: 1, OFFLINE: 2, ONLINE: 3}


class WorkerPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some of the workers by name. `total` and `states` are of all.

    `next` is the `after` of the next part; None at the end. `whole` says that
    nothing is left out.
    """

    workers: Sequence[WorkerImage]
    total: int
    states: dict[str, int]
    whole: bool
    next: str | None


def page_of(
    workers: Sequence[WorkerImage],
    limit: int = MOST_WORKERS,
    after: str | None = None,
) -> WorkerPage:
    """Return up to `limit` of `workers`, which are by name, behind the name `after`."""
    left = [one for one in workers if after is None or one.hostname > after]
    shown = left[:limit]
    more = len(left) > len(shown)
    return WorkerPage(
        workers=shown,
        total=len(workers),
        states=states_in(workers),
        whole=len(shown) == len(workers),
        next=shown[-1].hostname if more else None,
    )


def states_in(workers: Sequence[WorkerImage]) -> dict[str, int]:
    """Return how many workers are in each state that has any."""
    counted = Counter(one.state for one in workers)
    return {state: counted[state] for state in URGENCY if counted[state]}


def most_urgent(workers: Sequence[WorkerImage], most: int) -> list[WorkerImage]:
    """Return `most` of `workers`: all by name, or who is not well first."""
    if len(workers) <= most:
        return list(workers)
    return sorted(workers, key=lambda one: (URGENCY[one.state], one.hostname))[:most]


def limit_in(text: str | None) -> int:
    """Return the limit that a query gives. Raises `BadInput`."""
    if text is None:
        return MOST_WORKERS
    if text.isascii() and text.isdigit() and len(text) < 6 and int(text) > 0:
        return min(int(text), MOST_WORKERS)
    raise BadInput(f"limit must be a whole number from 1 to {MOST_WORKERS}", "limit")
