"""What is remembered of a schedule between two looks at it. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from herald_core.model.schedules.runs import ScheduledRun

MAX_RECENT = 12
"""Due times whose run is followed; earlier ones are only counted."""

BIN_S = 1_800
STRIP_S = 86_400
"""Seconds that one count covers, and that all of them cover."""


class Occurrence(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A due time (unix seconds) that was decided, and its run.

    Without a run, `unknown` is why it is not known whether there was one; empty if
    certainly none is known, so that the run was missed.
    """

    due: float
    run: ScheduledRun | None = None
    unknown: str = ""

    @property
    def is_missed(self) -> bool:
        """True if it was due and no run of it is known."""
        return self.run is None and not self.unknown


class Track(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The followed due times of one schedule. Times are unix seconds.

    `since` is when it was first seen as `fingerprint` says: due times before are not
    judged. `pending` is the due time that is decided next. After `anchor`, its last run
    or due time, another run of an interval is expected. `sends_seen`: submissions of
    its runs are visible, not only their receipt. `strip` counts the outcomes of earlier
    due times, by the start of their bin.
    """

    fingerprint: str
    since: float
    anchor: float
    pending: float | None = None
    recent: tuple[Occurrence, ...] = ()
    sends_seen: bool = False
    strip: dict[int, dict[str, int]] = {}


def add_count(
    strip: Mapping[int, Mapping[str, int]], due: float, outcome: str
) -> dict[int, dict[str, int]]:
    """Return `strip` with one more `outcome` at `due`, without bins too old for it."""
    start = int(due // BIN_S) * BIN_S
    kept = {at: dict(counts) for at, counts in strip.items() if at > start - STRIP_S}
    counts = kept.setdefault(start, {})
    counts[outcome] = counts.get(outcome, 0) + 1
    return kept
