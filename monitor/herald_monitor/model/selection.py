"""Which run a task is shown by, and which attempt that is. Pure.

What is shown as words arrive never goes back: a later run takes over when it is
begun, and a final state is left only for a run that was begun after it.
"""

from __future__ import annotations

from collections.abc import Sequence

from herald_monitor.model.runs import Run


def current(runs: Sequence[Run]) -> Run:
    """Return the run that a task's state is read off: one of its latest attempt.

    An outcome is only left for a run that began after it. A success stands, as in
    Celery's result backends: neither a failure of another run takes it back, nor a
    later attempt that merely waits. A delivery that lies in a worker's hands changes
    nothing while another runs. `runs` is not empty.
    """
    if len(runs) == 1:
        return runs[0]
    latest = [r for r in runs if r.retries == runs[-1].retries]
    begun = [r for r in latest if is_try(r)]
    if not begun:
        return _waiting(latest, runs)
    success = max(filter(_succeeded, runs), key=_number, default=None)
    if success is not None:
        after = [r for r in begun if r.is_going and _began_after(r, success)]
        return after[-1] if after else _unless_handed_on(success, begun[-1], latest)
    over = [r for r in begun if r.over]
    if over:
        after = [r for r in begun if _goes_on(r, over[-1])]
        return (after or over)[-1]
    top = begun[-1]
    return top if top.is_going else _handed_on(top, latest)


def shown_attempt(run: Run, runs: Sequence[Run]) -> int:
    """Return the attempt that is told of a task whose state is read off `run`.

    It is the latest that was begun: a run that is over may stand although another
    was begun since, and the attempt never goes back.
    """
    if not run.has_begun:
        return run.number
    latest = [r for r in runs if r.retries == runs[-1].retries]
    since = min(r.announced for r in latest)
    # Copies of an earlier attempt are not shown once a later one was heard of.
    begun = [
        r.number
        for r in runs
        if is_try(r) and (r.retries == latest[0].retries or r.place < since)
        if r.retries >= run.retries
    ]
    return max([run.number, *begun])


def is_try(run: Run) -> bool:
    """Say whether the code of a task was reached in `run`, or it was handed back."""
    return run.ran or (run.end is not None and not run.over)


def _waiting(latest: Sequence[Run], runs: Sequence[Run]) -> Run:
    """Return what is shown where nobody has begun the `latest` attempt."""
    success = max(filter(_succeeded, runs), key=_number, default=None)
    if success is not None and _stands(success, latest, runs):
        return success
    over = [r for r in latest if r.over]
    return (over or sorted(latest, key=lambda r: r.opened))[-1]


def _stands(success: Run, latest: Sequence[Run], runs: Sequence[Run]) -> bool:
    """Say whether nothing that was told since `success` is shown in its place."""
    if success.last.arrived > min(r.announced for r in latest)[0]:
        # It is shown once this attempt is over, too.
        return False
    return not any(r.number > success.number and _began_after(r, success) for r in runs)


def _goes_on(run: Run, over: Run) -> bool:
    """Say whether `run` was begun after `over`, and is not over itself.

    What was handed back waits for others; by the clocks of two workers nobody can
    tell whether that was after `over` had ended.
    """
    if run.over:
        return False
    if run.boot == over.boot:
        return run.number > over.number
    return run.is_going and run.place[0] > over.place[0]


def _unless_handed_on(success: Run, top: Run, latest: Sequence[Run]) -> Run:
    """Return `success`, unless a later attempt was shown to wait before it came."""
    if top.is_going or top.over:
        return success
    waits = _handed_on(top, latest)
    return (
        waits if waits is not top and waits.opened < success.last.arrived else success
    )


def _handed_on(top: Run, latest: Sequence[Run]) -> Run:
    """Return who received what `top` handed back since, or `top` itself."""
    assert top.end is not None, "what was handed back has an end"
    if any(r.is_going for r in latest):
        # That one may end before anybody begins what merely lies there.
        return top
    since = [
        r
        for r in latest
        if not r.has_begun
        and (
            r.first.clock > top.end.clock
            if r.boot == top.boot
            else r.opened >= top.end.arrived
        )
    ]
    return max(since, key=lambda r: r.opened, default=top)


def _number(run: Run) -> int:
    return run.number


def _succeeded(run: Run) -> bool:
    return run.end is not None and run.end.kind == "succeeded"


def _began_after(run: Run, over: Run) -> bool:
    """Say whether `run` certainly began after `over` had ended."""
    end, start = over.end, run.started
    if start is None or end is None:
        return False
    if run.boot == over.boot:
        return start.clock > end.clock
    return start.arrived > end.arrived
