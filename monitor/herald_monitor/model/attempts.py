"""A task's marks, read as attempts: who ran it, how often, and how each run ended.

Only `sent` and `received` name their attempt (`retries`), so the others are
found their place by the order of the worker that said them: within one worker
boot Celery's logical clock only grows. Between two workers only the order of
arrival tells what was first. Clocks of two hosts are never compared, and Celery's
logical clock is no help: messages of tasks do not carry it (celery/app/amqp.py), so
it follows other workers only by mingle, gossip and remote control.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby, pairwise

from herald_monitor.model.events import STOPPED
from herald_monitor.model.numbering import allot, number
from herald_monitor.model.past import Past
from herald_monitor.model.runs import ENDS, ORDER, OUTCOMES, Mark, Place, Run

__all__ = ["ENDS", "ORDER", "OUTCOMES", "Mark", "Run", "runs_of", "sendings"]

BOOT_TAKES = 1.0
"""Seconds that lie at least between two boots. A container that is restarted
keeps its hostname and often its pid; its logical clock begins anew."""


def runs_of(marks: Sequence[Mark], past: Past | None = None) -> list[Run]:
    """Return the runs that `marks` (sorted by host, pid and clock) tell of, in order.

    By `retries`, those that were begun before those that wait. The last is not
    always the one that counts: see `current`. `past` is what went before.
    """
    sent = sendings(marks)
    boots: list[list[Run]] = []
    for _, said in groupby(marks, key=lambda m: (m.host, m.pid)):
        own = [mark for mark in said if mark.kind != "sent"]
        boots += [r for boot in _boots(own) if (r := _runs_of_boot(boot))]
    if len(boots) > 1:
        boots.sort(key=_opening)
    number(boots, sent.keys(), past.sendings if past else 0)
    return _in_order(boots, sent, past)


def sendings(marks: Iterable[Mark]) -> dict[int, Mark]:
    """Return when each attempt was first sent: its mark by `retries`."""
    sent: dict[int, Mark] = {}
    for mark in marks:
        if mark.kind == "sent":
            attempt = max(mark.retries, 0)
            known = sent.get(attempt)
            if known is None or _earliness(mark) < _earliness(known):
                sent[attempt] = mark
    return sent


def _opening(runs: Sequence[Run]) -> tuple[int, str, int]:
    first = runs[0].first
    return (first.arrived, first.host, first.pid)


def _earliness(mark: Mark) -> tuple[float, str, int, int]:
    return (mark.at, mark.host, mark.pid, mark.clock)


def _boots(marks: list[Mark]) -> list[list[Mark]]:
    """Part what one host and pid said into boots, each in the order of its clock."""
    if all(b.at >= a.at - BOOT_TAKES for a, b in pairwise(marks)):
        return [marks] if marks else []
    boots: list[list[Mark]] = []
    top, until = 0, 0.0
    # A clock may be set back; what was heard at once is in the order of its clock.
    for mark in sorted(marks, key=lambda m: (m.arrived, m.at, m.clock)):
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
        elif mark.kind != STOPPED:
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


def _in_order(
    boots: list[list[Run]], sent: dict[int, Mark], past: Past | None
) -> list[Run]:
    for of, boot in enumerate(boots):
        reached = (0, -1, 0)
        for run in boot:
            run.boot = of
            # One worker's runs keep that worker's order, whatever was heard first.
            reached = run.place = max(reached, run.begun)
            run.sent = sent.get(run.retries)
    runs = [run for boot in boots for run in boot]
    for retries in sent.keys() - {r.retries for r in runs}:
        run = Run(retries)
        run.sent = sent[retries]
        run.place = run.begun
        runs.append(run)
    if len(runs) == 1 and past is None:
        runs[0].number = runs[0].retries + 1
        return runs
    allot(runs, past)
    return sorted(runs, key=_place)


def _place(run: Run) -> tuple[int, bool, int, Place]:
    given = run.number if run.has_begun else 0
    return (run.retries, not run.has_begun, given, run.place)
