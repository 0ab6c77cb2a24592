"""The projection: the public view of a task, derived from its marks.

No value that can be derived is stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from herald_core.model.events.event import Progress
from herald_core.model.failures.cause import make_fingerprint
from herald_core.model.tasks import views
from herald_core.model.tasks.attempt_selection import (
    get_public_attempt,
)
from herald_core.model.tasks.attempts import find_deliveries
from herald_core.model.tasks.attributes import CUSTOM_STATE
from herald_core.model.tasks.deliveries import OUTCOME_KINDS, Delivery, EventMark
from herald_core.model.tasks.projection_fast import project_simple, read_attributes
from herald_core.model.tasks.reported_attempts import (
    find_reported_attempt,
    make_reported_fields,
    with_reported_end,
)
from herald_core.model.tasks.states import (
    STATES_BY_KIND,
    WAITING_STATES,
    find_delivery_state,
    find_state,
    is_from_earlier_delivery,
    select_public_delivery,
)
from herald_core.model.tasks.task import Task
from herald_core.model.tasks.views import AttemptView, TaskView, to_rfc3339

INFERRED_KINDS = ("lost", "ignored", "ended")
"""States that Herald concludes without an event."""

ELLIPSIS = "..."
"""Celery's mark of a truncated `repr` of a result (`resultrepr_maxsize`)."""

SAME_END_S = 5.0
"""Seconds between a result and its event, below which they are of one end."""

TRUNCATED_PREFIX = "(truncated, "
"""The text of a result that is too large to be decoded."""


def project(task: Task, rev: str | None = None) -> TaskView:
    """Return `task` as it is shown."""
    return project_simple(task, rev) or project_full(task, rev)


def project_full(task: Task, rev: str | None = None) -> TaskView:
    """Return `task` as it is shown, whatever it went through."""
    runs = find_deliveries(task.marks, task.past)
    run = select_public_delivery(task, runs) if runs else None
    state, by = find_state(task, run, runs)
    final = state in views.FINAL_STATES
    facts = read_attributes(task)
    facts[CUSTOM_STATE] = _select_custom_state(task, run, state)
    heard = [m.at for m in (*task.marks, *task.reports)]
    if task.progress:
        heard.append(task.progress.at)
    if task.past:
        heard.append(task.past.at)
    updated = max(heard, default=0.0)
    return TaskView(
        id=task.id,
        state=state,
        attempt=_find_public_attempt(task, run, runs),
        progress=_select_progress(task, run, state),
        updated_at=to_rfc3339(updated),
        source=by.source if by else "event",
        as_of=to_rfc3339(by.at if by else updated),
        reason=by.text if by and by.kind in INFERRED_KINDS else None,
        conflict=_has_conflict(task, run, runs),
        final=final,
        rev=rev,
        **(
            (_make_delivery_fields(task, run, runs) if run else _make_report_fields(by))
            | make_reported_fields(run, by)
            | _make_inspect_fields(by)
        ),
        **_make_outcome_fields(task, run, runs, state, by),
        **facts,
    )


def _has_conflict(task: Task, run: Delivery | None, runs: Sequence[Delivery]) -> bool:
    """Return True if the events of the public delivery carry two outcomes."""
    if run is None or not run.is_final:
        return False
    kinds = {m.kind for m in run.ends if m.kind in OUTCOME_KINDS}
    if len(runs) > 1:
        kinds |= _find_contradictions(run, runs)
    if task.reports:
        kinds |= {
            r.kind
            for r in task.reports
            if r.source == "backend"
            and r.kind in OUTCOME_KINDS
            and not is_from_earlier_delivery(r, run, runs)
        }
    return len(kinds) > 1


def _find_contradictions(run: Delivery, runs: Sequence[Delivery]) -> set[str]:
    """Return the outcomes of deliveries that started after the public one, `run`."""
    ends = [
        r.end for r in runs if r.number > run.number and r.is_final and r.was_executed
    ]
    return {end.kind for end in ends if end and end.kind in OUTCOME_KINDS}


def _select_progress(task: Task, run: Delivery | None, state: str) -> Progress | None:
    """Return the newest progress if it belongs to the attempt that is shown."""
    step = task.progress
    if step is None or state in (*WAITING_STATES, views.RETRY):
        return None
    here = run.location if run else None
    # The child process sends its own events, often before its worker's `started`.
    if here and (step.at < here.at or (step.host and step.host != here.host)):
        return None
    return step.progress


def _select_custom_state(task: Task, run: Delivery | None, state: str) -> str | None:
    """Return the state that the task gave itself in the run that is shown."""
    at, told = task.attributes.get(CUSTOM_STATE, (0, None))
    if state not in (views.STARTED, views.IGNORED):
        return None
    here = run.location if run else None
    return None if here and at < int(here.at * 1000) else str(told) if told else None


def _make_report_fields(by: EventMark | None) -> dict[str, Any]:
    """Return the location of a running task of which no event was received."""
    return {"worker": by.host or None, "pid": by.pid or None} if by else {}


def _make_delivery_fields(
    task: Task, run: Delivery, runs: Sequence[Delivery]
) -> dict[str, Any]:
    sent = [r.sent.at for r in runs if r.sent]
    if task.past and task.past.submitted is not None:
        sent.append(task.past.submitted)
    told = run.received or run.sent
    eta = told.eta if told else None
    expires = next(
        (m.expires for m in (run.received, run.sent) if m and m.expires), None
    )
    # No worker has the next attempt of a message that was returned to the queue.
    received, started = (None, None) if run.is_requeued else (run.received, run.started)
    here = started or received or (None if run.is_requeued else run.end)
    return {
        "retries": run.retries,
        "worker": (here.host or None) if here else None,
        "pid": (here.pid or None) if here else None,
        "eta": to_rfc3339(eta) if eta else None,
        "expires": to_rfc3339(expires) if expires else None,
        "submitted_at": to_rfc3339(min(sent)) if sent else None,
        "received_at": to_rfc3339(received.at) if received else None,
        "started_at": to_rfc3339(started.at) if started else None,
    }


def _make_inspect_fields(by: EventMark | None) -> dict[str, Any]:
    """Return the worker that has or lost the task, if inspection adds to the events."""
    if by is None or not by.host or by.source not in ("inspect", "inferred"):
        return {}
    begun = by.worker_time if by.worker_time is not None else by.at
    started = {"pid": by.pid or None, "started_at": to_rfc3339(begun)}
    return {"worker": by.host, **(started if by.kind == "started" else {})}


def _make_outcome_fields(
    task: Task,
    run: Delivery | None,
    runs: Sequence[Delivery],
    state: str,
    by: EventMark | None,
) -> dict[str, Any]:
    end = by
    if state == views.RETRY and (by is None or by.kind != "retried"):
        # The reason of the wait for a retry belongs to the attempt before.
        told = [r.end for r in runs if r.end and r.end.kind == "retried"]
        end = told[-1] if told else None
    if end is None or end.kind not in STATES_BY_KIND or end.kind == "started":
        return {}
    if end.kind == "ignored":
        return {"finished_at": to_rfc3339(end.at)}
    over = state in views.FINAL_STATES
    detail = _select_most_detailed(end, run)
    stored = _find_stored(task, end)
    text, traceback = detail.text, detail.traceback
    if stored and (text is None or abs(stored.at - end.at) <= SAME_END_S):
        text, traceback = (
            _choose_longer(text, stored.text),
            traceback or stored.traceback,
        )
    failed = state == views.FAILURE
    return {
        "result": text if end.kind == "succeeded" else None,
        "exception": text if end.kind != "succeeded" else None,
        "traceback": traceback,
        "failure": make_fingerprint(text, traceback) if failed else None,
        "runtime": _find_runtime(run, detail) if over else None,
        "finished_at": to_rfc3339(end.at) if over else None,
    }


def _select_most_detailed(end: EventMark, run: Delivery | None) -> EventMark:
    """Return the most detailed mark of the same outcome: events carry runtimes."""
    if end.source == "event" or run is None or run.end is None:
        return end
    return run.end if run.end.kind == end.kind else end


def _find_stored(task: Task, end: EventMark) -> EventMark | None:
    """Return the backend's report of `end`."""
    told = [r for r in task.reports if (r.source, r.kind) == ("backend", end.kind)]
    return max(told, key=lambda r: r.at) if told else None


def _choose_longer(text: str | None, stored: str | None) -> str | None:
    """Return the text of an event, or the backend's where the event's was cut."""
    if text is None or stored is None:
        return stored if text is None else text
    cut = (
        ELLIPSIS in text and len(stored) > len(text) and TRUNCATED_PREFIX not in stored
    )
    return stored if cut else text


def _find_runtime(run: Delivery | None, end: EventMark) -> float | None:
    if end.runtime is not None:
        return round(end.runtime, 6)
    begun = run.started if run else None
    if begun and (begun.host, begun.pid) == (end.host, end.pid):
        return round(max(end.at - begun.at, 0.0), 6)
    return None


def _find_public_attempt(
    task: Task, run: Delivery | None, runs: Sequence[Delivery]
) -> int | None:
    """Return the public attempt: never lower than the one published before.

    None if neither an event nor the result backend told of any.
    """
    by_event = get_public_attempt(run, runs) if run else 0
    published = task.past.public_attempt if task.past else 0
    reported = find_reported_attempt(task) if task.reports else 0
    return max(by_event, published, reported) or None


def list_attempts(task: Task) -> list[AttemptView]:
    """Return each stored delivery of `task`, oldest first.

    A message that a worker only received is listed if it is the public one, or arrived
    after the last start. Otherwise another worker has started it.
    """
    runs = find_deliveries(task.marks, task.past)
    shown = select_public_delivery(task, runs) if runs else None
    state, by = find_state(task, shown, runs)
    listed = _list_deliveries(task, shown, runs) if shown else []
    return with_reported_end(listed, shown, by, state)


def _list_deliveries(
    task: Task, shown: Delivery, runs: Sequence[Delivery]
) -> list[AttemptView]:
    """Return the deliveries that events told of, of which `shown` is public."""
    told = _collect_listed(runs, shown)
    published = task.past.public_attempt if task.past else 0
    number = max(get_public_attempt(shown, runs), published)
    if number > max(told) and not shown.is_requeued:
        told[number] = told.pop(shown.attempt)
    listed = [_make_attempt_view(n, told[n]) for n in sorted(told)]
    if shown.is_requeued and number not in told:
        state, retries = views.PENDING, shown.retries
        listed.append(AttemptView(attempt=number, state=state, retries=retries))
    return listed


def _collect_listed(runs: Sequence[Delivery], shown: Delivery) -> dict[int, Delivery]:
    """Return the deliveries to list by attempt, for `list_attempts`."""
    told = {run.attempt: run for run in runs if run.is_started}
    last = max((run.position for run in told.values()), default=(0, -1, 0))
    waits = [r for r in runs if not r.is_started and (r is shown or r.position > last)]
    if waits:
        run = shown if shown in waits else max(waits, key=lambda r: r.position)
        told.setdefault(run.attempt, run)
    return told


def _make_attempt_view(number: int, run: Delivery) -> AttemptView:
    state, by = find_delivery_state(run)
    end = run.end
    here = run.started or run.received or end
    return AttemptView(
        attempt=number,
        state=state,
        retries=run.retries,
        worker=(here.host or None) if here else None,
        pid=(here.pid or None) if here else None,
        received_at=to_rfc3339(run.received.at) if run.received else None,
        started_at=to_rfc3339(run.started.at) if run.started else None,
        finished_at=to_rfc3339(end.at) if end else None,
        runtime=_find_runtime(run, by) if end else None,
        exception=end.text if end and end.kind != "succeeded" else None,
        traceback=end.traceback if end else None,
    )
