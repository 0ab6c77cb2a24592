"""Pages of workers: by name, or the most urgent first. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from herald_core.errors import InvalidInput
from herald_core.model.workers.worker import (
    DRAINING,
    OFFLINE,
    ONLINE,
    SILENT,
    WorkerView,
)

MAX_WORKERS = 5_000
"""Maximum number of workers in one response, and the default limit."""

MAX_OVERVIEW_WORKERS = 500
"""Workers in the overview."""

URGENCY = {SILENT: 0, DRAINING: 1, OFFLINE: 2, ONLINE: 3}


class WorkerPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of workers by name. `total` and `states` are of all.

    `next` is the `after` of the next page; None at the end. `whole`: the page contains
    all workers.
    """

    workers: Sequence[WorkerView]
    total: int
    states: dict[str, int]
    whole: bool
    next: str | None


def make_page(
    workers: Sequence[WorkerView],
    limit: int = MAX_WORKERS,
    after: str | None = None,
) -> WorkerPage:
    """Return up to `limit` of `workers`, sorted by name, after the name `after`."""
    left = [one for one in workers if after is None or one.hostname > after]
    shown = left[:limit]
    more = len(left) > len(shown)
    return WorkerPage(
        workers=shown,
        total=len(workers),
        states=count_states(workers),
        whole=len(shown) == len(workers),
        next=shown[-1].hostname if more else None,
    )


def count_states(workers: Sequence[WorkerView]) -> dict[str, int]:
    """Return how many workers are in each state that has any."""
    counted = Counter(one.state for one in workers)
    return {state: counted[state] for state in URGENCY if counted[state]}


def select_most_urgent(workers: Sequence[WorkerView], limit: int) -> list[WorkerView]:
    """Return `limit` of `workers`: all by name, or unhealthy ones first."""
    if len(workers) <= limit:
        return list(workers)
    return sorted(workers, key=lambda one: (URGENCY[one.state], one.hostname))[:limit]


def parse_limit(text: str | None) -> int:
    """Return the limit given by a query. Raises `InvalidInput`."""
    if text is None:
        return MAX_WORKERS
    if text.isascii() and text.isdigit() and len(text) < 6 and int(text) > 0:
        return min(int(text), MAX_WORKERS)
    raise InvalidInput(f"limit must be a whole number from 1 to {MAX_WORKERS}", "limit")
