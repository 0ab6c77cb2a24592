"""The minutes before and after a mark that are compared. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

import msgspec

from herald_core.errors import InvalidInput
from herald_core.model.marks.mark import Mark, find_rollout_end
from herald_core.model.marks.views import Period
from herald_core.model.rollups.rollup import MINUTE_S, Rollup
from herald_core.model.tasks.views import from_rfc3339, to_rfc3339

DEFAULT_WINDOW_S = 3_600.0
MIN_WINDOW_S = 60.0
MAX_WINDOW_S = 12 * 3_600.0

WINDOW_PATTERN = re.compile(r"([0-9]{1,6})([smh]?)")
UNIT_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3_600}


class ComparedTime(msgspec.Struct, frozen=True):
    """A time from `since` to before `until`, in unix seconds."""

    since: float
    until: float

    @property
    def minutes(self) -> float:
        """Its length."""
        return max(self.until - self.since, 0.0) / MINUTE_S

    def select(self, minutes: Iterable[Rollup]) -> list[Rollup]:
        """Return the `minutes` that begin in it."""
        return [one for one in minutes if self.since <= one.at < self.until]

    def to_view(self) -> Period:
        """Return it as it is shown."""
        return Period(to_rfc3339(self.since), to_rfc3339(max(self.until, self.since)))


def choose_times(
    mark: Mark, window: float, now: float
) -> tuple[ComparedTime, ComparedTime]:
    """Return the times before and after `mark`, each of `window` seconds at most.

    The minute of the mark and those of its roll-out belong to neither: in them both
    versions ran. The time after ends `now`.
    """
    middle = from_rfc3339(mark.at) // MINUTE_S * MINUTE_S
    after = math.ceil(find_rollout_end(mark) / MINUTE_S) * MINUTE_S
    return (
        ComparedTime(middle - window, middle),
        ComparedTime(after, min(after + window, now)),
    )


def parse_window(text: str | None) -> float:
    """Return the seconds of a text such as 15m or 1h. Raises `InvalidInput`."""
    if text is None:
        return DEFAULT_WINDOW_S
    found = WINDOW_PATTERN.fullmatch(text.strip())
    seconds = float(int(found[1]) * UNIT_SECONDS[found[2]]) if found else 0.0
    if not MIN_WINDOW_S <= seconds <= MAX_WINDOW_S:
        raise InvalidInput(
            "window must be a time such as 15m or 1h, up to 12h", "window"
        )
    return seconds
