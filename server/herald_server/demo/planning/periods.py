"""Periods that tasks work on, and the words that all results share."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

LONGEST_DAYS: Final = 366


@dataclass(frozen=True, slots=True)
class Period:
    """From the first day to the last, both included."""

    first: date
    last: date

    def as_result(self) -> dict[str, str]:
        """Show it as results show it."""
        return {"start": self.first.isoformat(), "end": self.last.isoformat()}


def now() -> datetime:
    """Return the time in UTC."""
    return datetime.now(UTC)


def stamp() -> str:
    """Return the time as results show it."""
    return now().isoformat(timespec="milliseconds").replace("+00:00", "Z")


def ahead(days: int) -> Period:
    """Return the period from today on; a year at most, which is all that is planned."""
    today = now().date()
    return Period(today, today + timedelta(days=_at_least_one("days", days)))


def back(days: int) -> Period:
    """Return the period up to today; a year at most."""
    today = now().date()
    return Period(today - timedelta(days=_at_least_one("days", days)), today)


def between(start: str, end: str) -> Period:
    """Read a period; raise ValueError if it is none, or longer than a year."""
    period = Period(date.fromisoformat(start), date.fromisoformat(end))
    if period.first > period.last:
        raise ValueError(f"start_date {start} is after end_date {end}")
    if (period.last - period.first).days > LONGEST_DAYS:
        raise ValueError(
            f"the period {start} to {end} is longer than {LONGEST_DAYS} days; "
            "ask for a shorter one"
        )
    return period


def _at_least_one(what: str, number: int) -> int:
    if number < 1:
        raise ValueError(f"{what} must be at least 1, not {number}")
    return min(number, LONGEST_DAYS)
