"""Times and durations as people write them: `10m`, `1h30m`, `02:13`, `yesterday`."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, tzinfo

UNITS_S = {
    "ms": 0.001,
    "s": 1.0,
    "m": 60.0,
    "min": 60.0,
    "h": 3600.0,
    "d": 86_400.0,
    "w": 604_800.0,
}
_DURATION = re.compile(r"(?:\d{1,9}(?:\.\d{1,6})?(?:ms|min|[smhdw]))+")
_PART = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)(ms|min|[smhdw])")
_NUMBER = re.compile(r"\d{1,9}(?:\.\d{1,6})?")
_CLOCK = re.compile(r"(\d{1,2}):(\d\d)(?::(\d\d))?")


def parse_duration_s(text: str) -> float | None:
    """Return a duration such as `10s`, `1h30m` or `250ms` in seconds, or None.

    A number without a unit is in seconds.
    """
    text = text.strip().lower()
    if _NUMBER.fullmatch(text):
        return float(text)
    if not _DURATION.fullmatch(text):
        return None
    return sum(float(value) * UNITS_S[unit] for value, unit in _PART.findall(text))


def parse_instant(given: object) -> float | None:
    """Return the unix seconds of an RFC 3339 time with its offset, or None.

    A time without an offset is none: nobody knows in which zone it was meant.
    """
    try:
        at = datetime.fromisoformat(given) if isinstance(given, str) else None
        return at.timestamp() if at is not None and at.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def parse_time(text: str, now: float, zone: tzinfo) -> float | None:
    """Return a time in unix seconds, or None if `text` is none.

    `10m` is ten minutes before `now`, `02:13` the latest time of that name, `today` and
    a date the beginning of that day. Times without an offset are in `zone`.
    """
    text = text.strip()
    if not _NUMBER.fullmatch(text) and (age := parse_duration_s(text)) is not None:
        return now - age
    today = datetime.fromtimestamp(now, zone)
    if text.lower() == "now":
        return now
    if text.lower() in ("today", "yesterday"):
        days = 1 if text.lower() == "yesterday" else 0
        return _begin_day(today - timedelta(days=days)).timestamp()
    if clock := _CLOCK.fullmatch(text):
        return _find_latest(clock, today)
    return _parse_iso(text, zone)


def _begin_day(at: datetime) -> datetime:
    return at.replace(hour=0, minute=0, second=0, microsecond=0)


def _find_latest(clock: re.Match[str], today: datetime) -> float | None:
    """Return the latest time not after `today` at which clocks showed `clock`."""
    try:
        at = _begin_day(today).replace(
            hour=int(clock[1]), minute=int(clock[2]), second=int(clock[3] or 0)
        )
    except ValueError:
        return None
    return (at if at <= today else at - timedelta(days=1)).timestamp()


def _parse_iso(text: str, zone: tzinfo) -> float | None:
    if len(text) < len("2026-01-31"):
        return None
    try:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=zone)).timestamp()
    except (ValueError, OverflowError):
        return None
