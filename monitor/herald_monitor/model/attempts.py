"""A task's marks, read as attempts: who ran it, how often, and how each run ended.

Only `sent` and `received` name their attempt (`retries`), so the others are
found their place by the order of the worker that said them: within one worker
boot Celery's logical clock only grows. Clocks of two hosts are compared only to
tell two deliveries of one attempt apart, and believed only if the order of
arrival agrees.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, pairwise

from herald_monitor.model.numbering import number
from herald_monitor.model.runs import ENDS, ORDER, OUTCOMES, Mark, Run

__all__ = ["ENDS", "ORDER", "OUTCOMES", "Mark", "Run", "current", "runs_of"]

BOOT_TAKES = 1.0
"""Seconds that lie at least between two boots. A container that is restarted
keeps its hostname and often its pid; its logical clock begins anew."""


def runs_of(marks: Sequence[Mark]) -> list[Run]:
    """Return the runs that `marks` (sorted by host, pid and clock) tell of, in order.

    The last is not always the one that counts: see `current`.
    """
    sent: dict[int, Mark] = {}
    boots: list[list[Run]] = []
    for _, said in groupby(marks, key=lambda m: (m.host, m.pid)):
        own = [m for m in said if not _noted_sent(m, sent)]
        boots += [_runs_of_boot(boot) for boot in _boots(own)]
    if len(boots) > 1:
        boots.sort(key=_opening)
    number(boots, sent.keys())
    return _in_order(boots, sent)


def _opening(runs: Sequence[Run]) -> tuple[float, str, int]:
    first = runs[0].first
    return (first.at, first.host, first.pid)


def _noted_sent(mark: Mark, sent: dict[int, Mark]) -> bool:
    if mark.kind != "sent":
        return False
    number = max(mark.retries, 0)
    known = sent.get(number)
    # The earliest word of a sending is when it was sent.
    if known is None or _earliness(mark) < _earliness(known):
        sent[number] = mark
    return True


def _earliness(mark: Mark) -> tuple[float, str, int, int]:
    return (mark.at, mark.host, mark.pid, mark.clock)


def _boots(marks: list[Mark]) -> list[list[Mark]]:
    """Part what one host and pid said into boots, each in the order of its clock."""
    if all(b.at >= a.at - BOOT_TAKES for a, b in pairwise(marks)):
        return [marks] if marks else []
    boots: list[list[Mark]] = []
    top, until = 0, 0.0
    for mark in sorted(marks, key=lambda m: (m.at, m.clock)):
        if not boots or (0 < mark.clock <= top and mark.at > until + BOOT_TAKES):
            boots.append([])
            top = 0
        boots[-1].append(mark)
        top, until = max(top, mark.clock), mark.at
    return [sorted(b, key=lambda m: (m.clock, ORDER[m.kind], m.at)) for b in boots]


def _runs_of_boot(marks: Sequence[Mark]) -> list[Run]:
    runs: list[Run] = []
    for mark in marks:
        if mark.kind == "received":
            run = Run(mark.retries)
            run.received = mark
            runs.append(run)
        elif mark.kind == "started":
            run = _to_start(runs)
            run.started = mark
        else:
            _to_end(runs, mark).ends.append(mark)
    return runs


def _to_start(runs: list[Run]) -> Run:
    for run in runs:
        if run.started is None and not run.ends:
            return run
    return _another(runs)


def _to_end(runs: list[Run], mark: Mark) -> Run:
    for run in runs:
        if run.ends and mark.clock - run.ends[-1].clock == 1 and _echo(run, mark):
            return run
    going = [r for r in runs if not r.ends]
    if len(going) > 1:
        return _ended(runs, going, mark)
    if going:
        return going[0]
    # A second outcome stays with the run that it contradicts, for all to see.
    return runs[-1] if runs and runs[-1].over else _another(runs)


def _ended(runs: Sequence[Run], going: Sequence[Run], mark: Mark) -> Run:
    """Return the one of several `going` that `mark` ends.

    The message of the next attempt is out, received and perhaps started before
    this one says that it will be retried; any other end belongs to the newest
    attempt, since that it exists means the one before it is over. Of two runs of
    one attempt the older may never end (Task.replace() leaves it without a word),
    so the newer takes the end.
    """
    reach = _reach(runs)
    running = [r for r in going if r.started]
    if mark.kind == "retried":
        return min(running or going, key=lambda r: reach[id(r)])
    if mark.kind == "revoked" and not mark.flag:
        # What runs is revoked only by being terminated.
        going = [r for r in going if not r.started] or going
    newest = max(reach[id(r)] for r in going)
    latest = [r for r in going if reach[id(r)] == newest]
    return next((r for r in reversed(latest) if r.started), latest[0])


def _reach(runs: Sequence[Run]) -> dict[int, int]:
    """Return the attempt of each run (by `id`), as far as this boot can tell.

    One whose `received` was lost is at least of the attempt before it.
    """
    reach: dict[int, int] = {}
    known = -1
    for run in runs:
        known = run.retries if run.retries >= 0 else known
        reach[id(run)] = known
    return reach


def _echo(run: Run, mark: Mark) -> bool:
    """Say whether a worker says one end twice in a row, as two events.

    The hard time limit tells `failed` twice, `Reject` tells `failed` and then
    `rejected`, a task with acks_on_failure off the other way round
    (celery/worker/request.py: on_timeout, on_failure).
    """
    one_end = ("failed", "rejected")
    return run.ends[-1].kind in one_end and mark.kind in one_end and not mark.flag


def _another(runs: list[Run]) -> Run:
    run = Run()
    runs.append(run)
    return run


def _in_order(boots: list[list[Run]], sent: dict[int, Mark]) -> list[Run]:
    for of, boot in enumerate(boots):
        reached = boot[0].place
        for run in boot:
            # One worker's runs keep that worker's order, whatever its clock did.
            reached = run.place = max(reached, run.heard_last)
            run.boot = of
            run.sent = sent.get(run.retries)
    runs = [run for boot in boots for run in boot]
    for retries in sent.keys() - {r.retries for r in runs}:
        run = Run(retries)
        run.sent = sent[retries]
        runs.append(run)
    # Stable: runs of one boot with one place stay in that worker's order.
    return sorted(runs, key=_place) if len(runs) > 1 else runs


def _place(run: Run) -> tuple[int, tuple[int, float], int]:
    return (run.retries, run.place, run.boot)


def current(runs: Sequence[Run]) -> Run:
    """Return the run that a task's state is read off: one of its latest attempt.

    An outcome is only left for a run that began after it. A success stands, as in
    Celery's result backends: neither a failure of another delivery of the same
    attempt takes it back, nor a later attempt that merely waits. A delivery that
    lies in a worker's hands changes nothing while another runs. `runs` is not
    empty.
    """
    if len(runs) == 1:
        return runs[0]
    latest = [r for r in runs if r.retries == runs[-1].retries]
    begun = [r for r in latest if r.ran or (r.end and not r.over)]
    if not begun:
        earlier = [r for r in runs if _succeeded(r)]
        over = [r for r in latest if r.over]
        return (earlier or over or latest)[-1]
    over = [r for r in begun if r.over]
    if over:
        best = ([r for r in over if _succeeded(r)] or over)[-1]
        return next((r for r in reversed(begun) if _began_after(r, best)), best)
    top = begun[-1]
    if top.end is None:
        return top
    # It was handed back: whoever received it since has it.
    since = [r for r in latest if r not in begun and r.place >= top.place]
    return since[-1] if since else top


def _succeeded(run: Run) -> bool:
    return run.end is not None and run.end.kind == "succeeded"


def _began_after(run: Run, over: Run) -> bool:
    """Say whether `run`, not over, certainly began after `over` had ended."""
    end, start = over.end, run.started
    if run.over or start is None or end is None:
        return False
    if run.boot == over.boot:
        return start.clock > end.clock
    return start.at > end.at and start.arrived >= end.arrived
