"""Find schedulers that submit nothing. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from herald_core.model.schedules.spec import SCHEDULERS, ScheduleSpec
from herald_core.model.schedules.track import Track

MIN_MISSED = 2
"""Due times without a run from which on their scheduler counts as silent."""


def find_silent_sources(
    followed: Iterable[tuple[ScheduleSpec, Track]],
) -> Mapping[str, float]:
    """Return the sources whose scheduler is silent, and since when (unix seconds).

    None of their schedules submitted anything since then, though several were due.
    """
    last_run: dict[str, float] = {}
    missed: dict[str, list[float]] = {}
    for spec, track in followed:
        if spec.source not in SCHEDULERS or not spec.enabled:
            continue
        for one in track.recent:
            if one.run is not None:
                last = last_run.get(spec.source, 0.0)
                last_run[spec.source] = max(last, one.run.at)
            elif one.is_missed:
                missed.setdefault(spec.source, []).append(one.due)
    silent: dict[str, float] = {}
    for source, dues in missed.items():
        since = [due for due in dues if due > last_run.get(source, 0.0)]
        if len(since) >= MIN_MISSED:
            silent[source] = min(since)
    return silent
