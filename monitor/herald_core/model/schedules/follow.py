"""Tie runs to due times, and decide which were missed. Pure: time is an argument.

A due time is decided by the run that is nearest to it. Without one it is decided once
its grace is over and all events of that time are stored; if some may be missing, the
answer is unknown, never missed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from herald_core.model.schedules.outcomes import classify
from herald_core.model.schedules.runs import ScheduledRun
from herald_core.model.schedules.spec import ScheduleSpec, make_fingerprint
from herald_core.model.schedules.track import (
    MAX_RECENT,
    STRIP_S,
    Occurrence,
    Track,
    add_count,
)

NextDue = Callable[[float], float | None]
"""Returns the first due time after a time (unix seconds); None if there is none."""

MAX_STEPS = 500
"""Due times that are decided in one look."""

PROMPT_S = 2.0
"""Seconds before a due time from which on a run is taken for it without waiting for a
nearer one: clocks of two hosts differ a little."""

GAP_MARGIN_S = 2.0
"""Seconds around a gap in which events may be missing as well."""

IN_GAP = "events of that time are missing"
TOO_MANY = "too many tasks of this name were submitted to find its run among them"


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """What was known at `now`. Times are unix seconds.

    All events before `known_until` are stored, except during the `gaps` (start, end).
    `whole`: the given runs are all that there are.
    """

    now: float
    known_until: float
    gaps: tuple[tuple[float, float], ...] = ()
    whole: bool = True


def begin_track(spec: ScheduleSpec, next_due: NextDue, now: float) -> Track:
    """Return the track of a schedule that is first seen, or was changed, at `now`."""
    return Track(
        fingerprint=make_fingerprint(spec),
        since=now,
        anchor=now,
        pending=_limit_due(spec, next_due(now)) if spec.enabled else None,
    )


def advance(
    track: Track,
    spec: ScheduleSpec,
    runs: Sequence[ScheduledRun],
    next_due: NextDue,
    sight: Sight,
) -> Track:
    """Return `track` with all due times decided that can be decided.

    `runs` are its possible runs since `find_search_start`, and those of open
    occurrences.
    """
    track = _skip_old(_update_runs(track, runs), spec, next_due, sight.now)
    track = _find_phase(track, spec, runs, next_due)
    track = _repair_last(track, spec, runs, next_due)
    for _ in range(MAX_STEPS):
        due = track.pending
        if due is None or due > sight.now:
            break
        decided = _decide(track, spec, due, runs, next_due(due), sight)
        if decided is None:
            break
        track = _append(track, spec, decided, next_due)
    return track


def find_search_start(track: Track, spec: ScheduleSpec) -> float | None:
    """Return the time since which its runs must be read; None if none is expected.

    That is before the first undecided due time, or the last one if it has no run.
    """
    last = track.recent[-1] if track.recent else None
    if last is not None and last.run is None:
        return last.due - spec.grace
    if track.pending is None:
        return None
    return track.anchor if spec.interval else track.pending - spec.grace


def _update_runs(track: Track, runs: Sequence[ScheduledRun]) -> Track:
    """Replace the runs of occurrences by their newer images."""
    by_id = {run.task_id: run for run in runs}
    recent = tuple(
        Occurrence(one.due, by_id.get(one.run.task_id, one.run)) if one.run else one
        for one in track.recent
    )
    return msgspec.structs.replace(
        track,
        recent=recent,
        sends_seen=track.sends_seen or any(run.sent for run in runs),
    )


def _skip_old(track: Track, spec: ScheduleSpec, next_due: NextDue, now: float) -> Track:
    """Leave out due times that are older than what is shown."""
    if track.pending is None or track.pending >= now - STRIP_S:
        return track
    due = _limit_due(spec, next_due(now - STRIP_S))
    return msgspec.structs.replace(track, pending=due, anchor=now - STRIP_S)


def _list_free(track: Track, runs: Sequence[ScheduledRun]) -> list[ScheduledRun]:
    """Return the runs that belong to no due time yet, oldest first."""
    taken = [one.run for one in track.recent if one.run is not None]
    last = max((run.at for run in taken), default=float("-inf"))
    ids = {run.task_id for run in taken}
    free = [run for run in runs if run.at >= last and run.task_id not in ids]
    return sorted(free, key=lambda run: run.at)


def _find_phase(
    track: Track, spec: ScheduleSpec, runs: Sequence[ScheduledRun], next_due: NextDue
) -> Track:
    """Begin to count an interval from its first run that is seen."""
    after = [run for run in runs if run.at >= track.since]
    if spec.interval is None or track.recent or track.pending is None or not after:
        return track
    first = min(after, key=lambda run: run.at)
    return _append(track, spec, Occurrence(first.at, first), next_due)


def _repair_last(
    track: Track, spec: ScheduleSpec, runs: Sequence[ScheduledRun], next_due: NextDue
) -> Track:
    """Attach a run that came too late to the last due time, if that has none."""
    if not track.recent or track.recent[-1].run is not None:
        return track
    due, end = track.recent[-1].due, track.pending
    if end is not None and not spec.interval:
        end -= min(spec.grace, (end - due) / 2)
    late = [
        run
        for run in _list_free(track, runs)
        if run.at >= due and (end is None or run.at < end)
    ]
    if not late:
        return track
    recent = (*track.recent[:-1], Occurrence(due, late[0]))
    repaired = msgspec.structs.replace(track, recent=recent)
    return (
        _expect_next(repaired, spec, late[0].at, next_due)
        if spec.interval
        else repaired
    )


def _decide(
    track: Track,
    spec: ScheduleSpec,
    due: float,
    runs: Sequence[ScheduledRun],
    following: float | None,
    sight: Sight,
) -> Occurrence | None:
    """Return the outcome of `due`; None if it cannot be told yet."""
    early = min(spec.grace, (following - due) / 2) if following else spec.grace
    start = track.anchor if spec.interval else due - early
    end = float("inf") if spec.interval or following is None else following
    near = [run for run in _list_free(track, runs) if start <= run.at < end]
    deadline = due + spec.grace
    if near:
        best = min(near, key=lambda run: abs(run.at - due))
        is_due = best.at >= due - PROMPT_S or sight.now >= deadline
        return Occurrence(due, best) if is_due else None
    if min(sight.now, sight.known_until) < deadline:
        return None
    return Occurrence(due, unknown=_explain_unknown(start, deadline, sight))


def _explain_unknown(start: float, deadline: float, sight: Sight) -> str:
    """Return why no run may be known although there was one; empty if none was."""
    if not sight.whole:
        return TOO_MANY
    covered = any(
        since - GAP_MARGIN_S < deadline and until + GAP_MARGIN_S > start
        for since, until in sight.gaps
    )
    return IN_GAP if covered else ""


def _append(
    track: Track, spec: ScheduleSpec, decided: Occurrence, next_due: NextDue
) -> Track:
    recent = (*track.recent, decided)
    strip = track.strip
    for index in range(len(recent) - MAX_RECENT):
        before = recent[index - 1].run if index else None
        strip = add_count(
            strip, recent[index].due, classify(recent[index], before, spec)
        )
    track = msgspec.structs.replace(track, recent=recent[-MAX_RECENT:], strip=strip)
    since = decided.due
    if spec.interval and decided.run is not None:
        since = decided.run.at
    return _expect_next(track, spec, since, next_due)


def _expect_next(
    track: Track, spec: ScheduleSpec, since: float, next_due: NextDue
) -> Track:
    due = _limit_due(spec, next_due(since))
    return msgspec.structs.replace(track, anchor=since, pending=due)


def _limit_due(spec: ScheduleSpec, due: float | None) -> float | None:
    """Return `due` unless the schedule has ended by then."""
    if due is None or (spec.until is not None and due > spec.until):
        return None
    return due
