"""What is wrong with a schedule now, in sentences. Pure."""

from __future__ import annotations

import msgspec

from herald_core.model.schedules import outcomes
from herald_core.model.schedules.outcomes import classify, compute_lateness
from herald_core.model.schedules.runs import FAILED_STATES, ScheduledRun
from herald_core.model.schedules.spec import ScheduleSpec
from herald_core.model.schedules.track import Occurrence, Track
from herald_core.model.tasks.views import REVOKED, to_rfc3339


class ScheduleProblem(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A problem of a schedule: its kind, since when, and a sentence about it.

    `kind` is one of `missed`, `late`, `overlapping`, `failed`, `beat_silent`.
    """

    kind: str
    since: str
    message: str
    task_id: str | None = None


def find_problems(
    track: Track, spec: ScheduleSpec, now: float, silent_since: float | None = None
) -> list[ScheduleProblem]:
    """Return what is wrong at `now` (unix seconds), the worst first.

    `silent_since` is when the scheduler of its source fell silent, if it did.
    """
    if not track.recent or not spec.enabled:
        return []
    found = [*_find_missed(track, spec, silent_since), *_find_failed(track)]
    *others, last = track.recent
    if last.run is not None:
        before = others[-1].run if others else None
        found += _find_waiting(track, spec, now) or _find_late(last.run, last.due, spec)
        found += _find_overlap(last, before, spec)
    return found


def find_outcome(track: Track, spec: ScheduleSpec, now: float) -> str | None:
    """Return the outcome of the newest due time; None if there was none yet."""
    if not track.recent:
        return None
    *before, last = track.recent
    return classify(last, before[-1].run if before else None, spec, now)


def _find_missed(
    track: Track, spec: ScheduleSpec, silent_since: float | None
) -> list[ScheduleProblem]:
    missed: list[Occurrence] = []
    for one in reversed(track.recent):
        if not one.is_missed:
            break
        missed.append(one)
    if not missed:
        return []
    found: list[ScheduleProblem] = []
    if silent_since is not None:
        message = (
            "The scheduler submits nothing: no schedule of this source ran since"
            f" {to_rfc3339(silent_since)}, though several were due. Check that"
            " celery beat runs."
        )
        kind = outcomes.SCHEDULER_SILENT
        found.append(ScheduleProblem(kind, to_rfc3339(silent_since), message))
    first = to_rfc3339(missed[-1].due)
    found.append(
        ScheduleProblem(outcomes.MISSED, first, _explain_missed(track, spec, missed))
    )
    return found


def _explain_missed(track: Track, spec: ScheduleSpec, missed: list[Occurrence]) -> str:
    last = to_rfc3339(missed[0].due)
    times = (
        f"{len(missed)} runs are missing, the last was due at"
        if missed[1:]
        else "It was due at"
    )
    if track.sends_seen:
        return f"{times} {last}, and nothing was submitted within {spec.grace:g} s."
    return (
        f"{times} {last}, and no worker received a run within {spec.grace:g} s."
        " Whether one was submitted is not known: set task_send_sent_event, or give"
        " the scheduler the outbox."
    )


def _find_failed(track: Track) -> list[ScheduleProblem]:
    """Return the failure of the newest run that has ended."""
    for one in reversed(track.recent):
        if one.run is not None and one.run.has_ended:
            return [_make_failed(one.run)] if one.run.state in FAILED_STATES else []
    return []


def _make_failed(run: ScheduledRun) -> ScheduleProblem:
    why = f": {run.exception}" if run.exception else "."
    if run.state == REVOKED:
        why = ": it was cancelled, or had expired before a worker could start it."
    at = to_rfc3339(run.at if run.finished_at is None else run.finished_at)
    message = f"Its last run ended as {run.state}{why}"
    return ScheduleProblem(outcomes.FAILED, at, message, run.task_id)


def _find_waiting(
    track: Track, spec: ScheduleSpec, now: float
) -> list[ScheduleProblem]:
    """Return that runs wait for a worker, since the first of them was due."""
    late = [
        (one.due, one.run)
        for one in track.recent
        if one.run is not None
        and one.run.is_waiting
        and compute_lateness(one.run, one.due, spec, now) > spec.grace
    ]
    if not late:
        return []
    due, run = late[0]
    queue = run.queue or spec.queue
    where = f" in the queue {queue}" if queue else ""
    message = (
        f"It was due at {to_rfc3339(due)}, was submitted, and waits{where}: no worker"
        " has started it."
    )
    if late[1:]:
        message += f" {len(late) - 1} later runs wait as well."
    return [ScheduleProblem(outcomes.LATE, to_rfc3339(due), message, run.task_id)]


def _find_late(
    run: ScheduledRun, at: float, spec: ScheduleSpec
) -> list[ScheduleProblem]:
    late = compute_lateness(run, at, spec)
    if late <= spec.grace:
        return []
    due = to_rfc3339(at)
    how = "submitted" if run.at - at > spec.grace else "started"
    if not run.sent and how == "submitted":
        how = "received by a worker"
    message = f"It was due at {due}, and {how} {late:.0f} s later."
    return [ScheduleProblem(outcomes.LATE, due, message, run.task_id)]


def _find_overlap(
    one: Occurrence, before: ScheduledRun | None, spec: ScheduleSpec
) -> list[ScheduleProblem]:
    if before is None or classify(one, before, spec) != outcomes.OVERLAPPING:
        return []
    assert one.run is not None, "it overlaps"
    at = to_rfc3339(one.run.at)
    message = (
        f"The run before it, {before.task_id}, was still running when it was submitted:"
        " a run takes longer than the interval."
    )
    return [ScheduleProblem(outcomes.OVERLAPPING, at, message, one.run.task_id)]
