"""Due times, as Celery's own schedule objects compute them.

`remaining_estimate` of a schedule is relative to its own present time (`nowfun`). Here
that is an argument, so the time zone, clock changes and calendars are Celery's.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, cast

from celery import Celery
from celery.schedules import crontab, schedule, solar
from celery.utils.time import maybe_make_aware

from herald_core.model.schedules.follow import NextDue

MAX_CORRECTIONS = 4
"""How often a due time is computed again from itself: an estimate over a clock change
is an hour off in some versions of Celery."""

MIN_STEP_S = 0.001
ACCURACY_S = 0.5
MIN_SKEW_S = 30.0
MAX_TEXT = 200


def make_next_due(planned: Any, app: Celery) -> NextDue:
    """Return the function that computes the first due time after a time.

    `planned` is a schedule of Celery. The function returns None if there is none, or if
    the schedule cannot compute it.
    """
    zone, skew = find_zone(planned, app), _measure_skew(planned)

    def compute(after: float) -> float | None:
        try:
            due = _compute_next(planned, after + skew, zone)
        except Exception:  # a schedule is the project's code
            return None
        return None if due is None or due - skew < after + MIN_STEP_S else due - skew

    return compute


def _compute_next(planned: Any, after: float, zone: tzinfo) -> float | None:
    last = now = datetime.fromtimestamp(after, zone)
    # Not by `copy`: a crontab is made again of its fields then, without its zone.
    probe: Any = object.__new__(planned.__class__)
    probe.__dict__.update(planned.__dict__)
    probe.nowfun = lambda: now
    due: float = after
    for _ in range(MAX_CORRECTIONS):
        left: timedelta | None = probe.remaining_estimate(last)
        if left is None:
            return None
        due = now.timestamp() + left.total_seconds()
        if due <= after or abs(left.total_seconds()) < ACCURACY_S:
            break
        now = datetime.fromtimestamp(due, zone)
    return due


def find_zone(planned: Any, app: Celery) -> tzinfo:
    """Return the time zone in which a schedule is computed."""
    try:
        own = planned.nowfun() if planned.nowfun else None
        zone = getattr(own, "tzinfo", None) or planned.tz
    except Exception:  # a schedule is the project's code
        zone = None
    return cast(tzinfo, zone or cast(Any, app).timezone or UTC)


def _measure_skew(planned: Any) -> float:
    """Return by how many seconds the schedule's own clock differs from this one.

    Celery takes the naive time of a `nowfun` for UTC.
    """
    try:
        own = maybe_make_aware(planned.nowfun(), UTC) if planned.nowfun else None
    except Exception:  # a function of the project
        return 0.0
    if own is None:
        return 0.0
    skew = own.timestamp() - datetime.now(UTC).timestamp()
    return round(skew / 60) * 60.0 if abs(skew) > MIN_SKEW_S else 0.0


def find_interval(planned: Any) -> float | None:
    """Return the seconds between two runs; None where the calendar decides."""
    if isinstance(planned, schedule):
        return float(cast(Any, planned).seconds)
    return None


def describe_schedule(planned: Any) -> str:
    """Return a schedule as a text, of a crontab its five fields."""
    own: Any = planned
    if isinstance(planned, crontab):
        fields = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")
        return " ".join(str(getattr(own, f"_orig_{name}")) for name in fields)
    if isinstance(planned, schedule):
        return f"every {describe_seconds(own.seconds)}"
    if isinstance(planned, solar):
        return f"{own.event} at {own.lat}, {own.lon}"
    if hasattr(planned, "clocked_time"):
        return f"once at {own.clocked_time.isoformat()}"
    try:
        return " ".join(repr(planned).split())[:MAX_TEXT]
    except Exception:  # a schedule is the project's code
        return type(planned).__name__


def describe_seconds(seconds: float) -> str:
    """Return a duration in its largest whole unit."""
    for unit, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= unit and seconds % unit == 0:
            return f"{seconds / unit:g} {name}"
    return f"{seconds:g} s"


def name_zone(planned: Any, app: Celery) -> str:
    """Return the name of a schedule's time zone."""
    zone = find_zone(planned, app)
    return str(getattr(zone, "key", None) or zone)
