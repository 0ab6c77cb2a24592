"""A schedule as it is stored and shown. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from herald_core.model.schedules import outcomes
from herald_core.model.schedules.learning import LearntSchedule
from herald_core.model.schedules.outcomes import classify, compute_lateness
from herald_core.model.schedules.problems import (
    ScheduleProblem,
    find_outcome,
    find_problems,
)
from herald_core.model.schedules.spec import ScheduleSpec
from herald_core.model.schedules.track import Occurrence, Track, add_count
from herald_core.model.tasks.views import to_rfc3339

DISABLED = "disabled"
UNCONFIRMED = "unconfirmed"
WAITING = "waiting"
RUNNING = "running"
"""States beside the outcomes: learnt and not confirmed by a person; no due time was
decided yet; its run has not ended."""


class ScheduleMarks(msgspec.Struct, frozen=True, kw_only=True):
    """What people said of a schedule: whether they confirmed, or muted it."""

    confirmed: bool = True
    muted: bool = False


def make_view(
    spec: ScheduleSpec,
    track: Track,
    now: float,
    *,
    marks: ScheduleMarks | None = None,
    silent_since: float | None = None,
    learnt: LearntSchedule | None = None,
) -> dict[str, Any]:
    """Return the JSON image of a schedule at `now` (unix seconds)."""
    marks = marks or ScheduleMarks()
    found = find_problems(track, spec, now, silent_since) if marks.confirmed else []
    last = track.recent[-1] if track.recent else None
    image: dict[str, Any] = {
        "name": spec.name,
        "task": spec.task,
        "source": spec.source,
        "schedule": spec.when,
        "enabled": spec.enabled,
        "confirmed": marks.confirmed,
        "muted": marks.muted,
        "grace_s": spec.grace,
        "state": _find_state(spec, track, now, marks, found),
        "problems": msgspec.to_builtins(found),
        "strip": list_strip(track, spec, now),
        "since": to_rfc3339(track.since),
        **_list_optional(spec, track),
    }
    if last is not None:
        image["last_due"] = to_rfc3339(last.due)
        if last.unknown:
            image["unknown"] = last.unknown
    run = _find_last_run(track)
    if run is not None:
        image["last_run"] = _make_run_view(run, spec)
    if learnt is not None:
        image["learnt"] = _make_learnt_view(learnt)
    return image


def _list_optional(spec: ScheduleSpec, track: Track) -> Mapping[str, Any]:
    pending = track.pending
    fields = {
        "timezone": spec.timezone or None,
        "args": spec.args,
        "kwargs": spec.kwargs,
        "queue": spec.queue,
        "interval_s": spec.interval,
        "next_run": None if pending is None else to_rfc3339(pending),
    }
    return {name: value for name, value in fields.items() if value is not None}


def _find_state(
    spec: ScheduleSpec,
    track: Track,
    now: float,
    marks: ScheduleMarks,
    found: list[ScheduleProblem],
) -> str:
    if not spec.enabled:
        return DISABLED
    if not marks.confirmed:
        return UNCONFIRMED
    if found:
        return found[0].kind
    outcome = find_outcome(track, spec, now)
    if outcome is None:
        return WAITING
    run = track.recent[-1].run
    if outcome == outcomes.OK and run is not None and not run.has_ended:
        return RUNNING
    return outcome


def _find_last_run(track: Track) -> Occurrence | None:
    return next((one for one in reversed(track.recent) if one.run is not None), None)


def _make_run_view(one: Occurrence, spec: ScheduleSpec) -> dict[str, Any]:
    run = one.run
    assert run is not None, "the occurrence has a run"
    fields = {
        "task_id": run.task_id,
        "state": run.state,
        "due": to_rfc3339(one.due),
        ("submitted_at" if run.sent else "received_at"): to_rfc3339(run.at),
        "started_at": _to_text(run.started_at),
        "finished_at": _to_text(run.finished_at),
        "runtime": run.runtime,
        "exception": run.exception,
        "late_s": round(compute_lateness(run, one.due, spec), 3),
    }
    return {name: value for name, value in fields.items() if value is not None}


def _to_text(at: float | None) -> str | None:
    return None if at is None else to_rfc3339(at)


def _make_learnt_view(learnt: LearntSchedule) -> dict[str, Any]:
    return {
        "runs": learnt.runs,
        "interval_s": learnt.interval,
        "jitter_s": learnt.jitter,
        "first": to_rfc3339(learnt.first),
        "last": to_rfc3339(learnt.last),
    }


def list_strip(track: Track, spec: ScheduleSpec, now: float) -> list[dict[str, Any]]:
    """Return the outcomes of the last day: `at` and a count of each, in half hours."""
    strip = {at: dict(counts) for at, counts in track.strip.items()}
    before = None
    for one in track.recent:
        strip = add_count(strip, one.due, classify(one, before, spec, now))
        before = one.run
    return [{"at": to_rfc3339(at), **strip[at]} for at in sorted(strip)]
