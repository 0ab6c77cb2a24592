"""A task as it is shown, read off what was heard. Nothing is stored that can be
read off.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from herald_monitor.model import shape
from herald_monitor.model.attempts import runs_of
from herald_monitor.model.events import Progress
from herald_monitor.model.facts import CUSTOM_STATE, TAG_SEPARATOR
from herald_monitor.model.plain import facts_of, read_plain
from herald_monitor.model.runs import OUTCOMES, Mark, Run
from herald_monitor.model.selection import current, shown_attempt
from herald_monitor.model.shape import AttemptImage, TaskImage, rfc3339
from herald_monitor.model.states import (
    STATE_OF,
    WAITING,
    is_of_earlier_run,
    state_of,
    state_of_run,
)
from herald_monitor.model.tasks import Task

CONCLUDED = ("lost", "ignored", "ended")
"""What nobody said, but Herald concluded."""

CUT = "..."
"""What Celery puts where it cuts the `repr` of a result (`resultrepr_maxsize`)."""

ONE_END = 5.0
"""Seconds between a result and its event, below which they are of one end."""

UNTOLD = "(truncated, "
"""What a result of the backend is shown as that was too large to be looked into."""


def read(task: Task, rev: str | None = None) -> TaskImage:
    """Return `task` as it is shown."""
    return read_plain(task, rev) or read_through(task, rev)


def read_through(task: Task, rev: str | None = None) -> TaskImage:
    """Return `task` as it is shown, whatever it went through."""
    runs = runs_of(task.marks, task.past)
    run = current(runs) if runs else None
    state, by = state_of(task, run, runs)
    final = state in shape.FINAL
    facts = facts_of(task)
    tags = str(facts.pop("tags", ""))
    facts[CUSTOM_STATE] = _custom_state(task, run, state)
    heard = [m.at for m in (*task.marks, *task.reports)]
    if task.step:
        heard.append(task.step.at)
    if task.past:
        heard.append(task.past.at)
    updated = max(heard, default=0.0)
    return TaskImage(
        id=task.id,
        state=state,
        attempt=_attempt_shown(task, run, runs) if run else None,
        retries=run.retries if run else None,
        tags=tuple(tags.split(TAG_SEPARATOR)) if tags else None,
        progress=_progress(task, run, state),
        updated_at=rfc3339(updated),
        source=by.source if by else "event",
        as_of=rfc3339(by.at if by else updated),
        reason=by.text if by and by.kind in CONCLUDED else None,
        conflict=_conflict(task, run, runs),
        final=final,
        rev=rev,
        **(
            (_run_fields(task, run, runs) if run else _report_fields(by))
            | _found_fields(by)
        ),
        **_outcome_fields(task, run, runs, state, by),
        **facts,
    )


def _conflict(task: Task, run: Run | None, runs: Sequence[Run]) -> bool:
    """Say whether two outcomes are told of what is shown."""
    if run is None or not run.over:
        return False
    kinds = {m.kind for m in run.ends if m.kind in OUTCOMES}
    if len(runs) > 1:
        kinds |= _contradicting(run, runs)
    if task.reports:
        kinds |= {
            r.kind
            for r in task.reports
            if r.source == "backend"
            and r.kind in OUTCOMES
            and not is_of_earlier_run(r, run, runs)
        }
    return len(kinds) > 1


def _contradicting(run: Run, runs: Sequence[Run]) -> set[str]:
    """Return the outcomes of runs that were begun after `run`, which stands."""
    ends = [r.end for r in runs if r.number > run.number and r.over and r.ran]
    return {end.kind for end in ends if end and end.kind in OUTCOMES}


def _progress(task: Task, run: Run | None, state: str) -> Progress | None:
    """Return the newest progress if it belongs to the attempt that is shown."""
    step = task.step
    if step is None or state in (*WAITING, shape.RETRY):
        return None
    here = run.here if run else None
    # The child process speaks for itself, often before its worker says `started`.
    if here and (step.at < here.at or (step.host and step.host != here.host)):
        return None
    return step.progress


def _custom_state(task: Task, run: Run | None, state: str) -> str | None:
    """Return the state that the task gave itself in the run that is shown."""
    at, told = task.facts.get(CUSTOM_STATE, (0, None))
    if state not in (shape.STARTED, shape.IGNORED):
        return None
    here = run.here if run else None
    return None if here and at < int(here.at * 1000) else str(told) if told else None


def _report_fields(by: Mark | None) -> dict[str, Any]:
    """Return where a task runs of which no event was heard."""
    return {"worker": by.host or None, "pid": by.pid or None} if by else {}


def _run_fields(task: Task, run: Run, runs: Sequence[Run]) -> dict[str, Any]:
    sent = [r.sent.at for r in runs if r.sent]
    if task.past and task.past.submitted is not None:
        sent.append(task.past.submitted)
    told = run.received or run.sent
    eta = told.eta if told else None
    expires = next(
        (m.expires for m in (run.received, run.sent) if m and m.expires), None
    )
    here = run.started or run.received or run.end
    return {
        "worker": (here.host or None) if here else None,
        "pid": (here.pid or None) if here else None,
        "eta": rfc3339(eta) if eta else None,
        "expires": rfc3339(expires) if expires else None,
        "submitted_at": rfc3339(min(sent)) if sent else None,
        "received_at": rfc3339(run.received.at) if run.received else None,
        "started_at": rfc3339(run.started.at) if run.started else None,
    }


def _found_fields(by: Mark | None) -> dict[str, Any]:
    """Return who has the task, or lost it, where asking told more than events."""
    if by is None or not by.host or by.source not in ("inspect", "inferred"):
        return {}
    begun = by.said if by.said is not None else by.at
    started = {"pid": by.pid or None, "started_at": rfc3339(begun)}
    return {"worker": by.host, **(started if by.kind == "started" else {})}


def _outcome_fields(
    task: Task, run: Run | None, runs: Sequence[Run], state: str, by: Mark | None
) -> dict[str, Any]:
    end = by
    if state == shape.RETRY and (by is None or by.kind != "retried"):
        # Why it waits to be run again was said of the attempt before.
        told = [r.end for r in runs if r.end and r.end.kind == "retried"]
        end = told[-1] if told else None
    if end is None or end.kind not in STATE_OF or end.kind == "started":
        return {}
    if end.kind == "ignored":
        return {"finished_at": rfc3339(end.at)}
    over = state in shape.FINAL
    detail = _richest(end, run)
    stored = _stored(task, end)
    text, traceback = detail.text, detail.traceback
    if stored and (text is None or abs(stored.at - end.at) <= ONE_END):
        text, traceback = _fuller(text, stored.text), traceback or stored.traceback
    return {
        "result": text if end.kind == "succeeded" else None,
        "exception": text if end.kind != "succeeded" else None,
        "traceback": traceback,
        "runtime": _runtime(run, detail) if over else None,
        "finished_at": rfc3339(end.at) if over else None,
    }


def _richest(end: Mark, run: Run | None) -> Mark:
    """Return the mark of the same outcome that tells most: events carry runtimes."""
    if end.source == "event" or run is None or run.end is None:
        return end
    return run.end if run.end.kind == end.kind else end


def _stored(task: Task, end: Mark) -> Mark | None:
    """Return what the backend keeps of `end`."""
    told = [r for r in task.reports if (r.source, r.kind) == ("backend", end.kind)]
    return max(told, key=lambda r: r.at) if told else None


def _fuller(text: str | None, stored: str | None) -> str | None:
    """Return the text of an event, or the backend's where the event's was cut."""
    if text is None or stored is None:
        return stored if text is None else text
    cut = CUT in text and len(stored) > len(text) and UNTOLD not in stored
    return stored if cut else text


def _runtime(run: Run | None, end: Mark) -> float | None:
    if end.runtime is not None:
        return round(end.runtime, 6)
    begun = run.started if run else None
    if begun and (begun.host, begun.pid) == (end.host, end.pid):
        return round(max(end.at - begun.at, 0.0), 6)
    return None


def _attempt_shown(task: Task, run: Run, runs: Sequence[Run]) -> int:
    """Return the attempt that is told: never less than was told before."""
    return max(shown_attempt(run, runs), task.past.told if task.past else 0)


def attempts(task: Task) -> list[AttemptImage]:
    """Return each run of `task` that is remembered, oldest first.

    A message that lies with a worker is told of only if it is shown, or came after
    the last run was begun: otherwise another worker has begun it.
    """
    runs = runs_of(task.marks, task.past)
    if not runs:
        return []
    told = {run.number: run for run in runs if run.has_begun}
    last = max((run.place for run in told.values()), default=(0, -1, 0))
    shown = current(runs)
    waits = [r for r in runs if not r.has_begun and (r is shown or r.place > last)]
    if waits:
        run = shown if shown in waits else max(waits, key=lambda r: r.place)
        told.setdefault(run.number, run)
    number = _attempt_shown(task, shown, runs)
    if number > max(told):
        told[number] = told.pop(shown.number)
    return [_attempt(number, told[number]) for number in sorted(told)]


def _attempt(number: int, run: Run) -> AttemptImage:
    state, by = state_of_run(run)
    end = run.end
    here = run.started or run.received or end
    return AttemptImage(
        attempt=number,
        state=state,
        retries=run.retries,
        worker=(here.host or None) if here else None,
        pid=(here.pid or None) if here else None,
        received_at=rfc3339(run.received.at) if run.received else None,
        started_at=rfc3339(run.started.at) if run.started else None,
        finished_at=rfc3339(end.at) if end else None,
        runtime=_runtime(run, by) if end else None,
        exception=end.text if end and end.kind != "succeeded" else None,
        traceback=end.traceback if end else None,
    )
