"""Begin to follow a schedule with the runs that are stored already. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from herald_core.model.schedules.follow import NextDue, begin_track
from herald_core.model.schedules.runs import ScheduledRun
from herald_core.model.schedules.spec import ScheduleSpec
from herald_core.model.schedules.track import Occurrence, Track


def begin_with_history(
    spec: ScheduleSpec, runs: Sequence[ScheduledRun], next_due: NextDue, now: float
) -> Track:
    """Return the track of a schedule that is first seen at `now`.

    Its newest run is shown, and of an interval the next one is expected after it. Due
    times before `now` are not judged.
    """
    track = begin_track(spec, next_due, now)
    last = max(runs, key=lambda run: run.at, default=None)
    if last is None or last.at > now:
        return track
    track = msgspec.structs.replace(
        track, recent=(Occurrence(last.at, last),), sends_seen=last.sent
    )
    if spec.interval is None or track.pending is None:
        return track
    due = next_due(last.at)
    if due is None or due <= now:
        return track
    return msgspec.structs.replace(track, anchor=last.at, pending=due)
