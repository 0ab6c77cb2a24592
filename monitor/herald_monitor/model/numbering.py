"""Which attempt a run must be of whose `received` was not heard.

Only `sent` and `received` name their attempt. A run without them stands between
others of its worker, or it fills a place that the rest leaves open.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from herald_monitor.model.runs import Run


def number(boots: Sequence[Sequence[Run]], sent: Collection[int]) -> None:
    """Give each unnumbered run of `boots` its attempt; `sent` were sent for sure."""
    for runs in boots:
        for i, run in enumerate(runs):
            if run.retries < 0:
                run.retries = _attempt_of(i, runs, boots, sent)


def _attempt_of(
    i: int,
    runs: Sequence[Run],
    boots: Sequence[Sequence[Run]],
    sent: Collection[int],
) -> int:
    """Return the attempt of run `i` of one boot, whose `runs` are in order."""
    run = runs[i]
    known = [r for boot in boots for r in boot if r.retries >= 0]
    taken = {r.retries for r in known}
    floor = runs[i - 1].retries + _retried(runs[i - 1]) if i else 0
    following = {r.retries + 1 for r in known if _retried(r)} | set(sent)
    following = {n for n in following - taken if n >= floor}
    preceding = {n - 1 for n in taken if n > floor} - taken
    ceiling = next((r.retries for r in runs[i + 1 :] if r.retries >= 0), None)
    if ceiling is not None:
        # A later run of this boot is of a later attempt, or of the very first again.
        below = [n for n in following | preceding if n < ceiling]
        return max(below, default=max(ceiling - 1, floor))
    if run.over:
        # After an outcome nothing is tried again.
        return max(following | taken, default=0)
    if _retried(run) and preceding and not i:
        return min(following | preceding)
    return min(following) if following else max(taken, default=0)


def _retried(run: Run) -> bool:
    return run.end is not None and run.end.kind == "retried"
