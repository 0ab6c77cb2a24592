"""The query of a request: a text, a structured filter and limits of the arrival."""

from __future__ import annotations

from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from herald_core.errors import InvalidInput
from herald_core.model.filters import Filter
from herald_core.model.queries.query_text import parse_query_text
from herald_core.model.queries.task_query import TaskQuery, parse_sort


def make_query(
    text: str | None,
    filter_: Filter,
    *,
    now: float,
    after: float | None = None,
    before: float | None = None,
    sort: str | None = None,
    zone: str | None = None,
) -> TaskQuery:
    """Return what `text`, `filter_` and the limits select together.

    `sort` takes precedence over that of the text. `zone` is an IANA name, for times
    without an offset. Raises `InvalidInput`.
    """
    query = parse_query_text(text or "", now, parse_zone(zone))
    limits = [at for at in (query.after, after) if at is not None]
    ends = [at for at in (query.before, before) if at is not None]
    return msgspec.structs.replace(
        query,
        filter=filter_ if query.filter == Filter() else filter_.intersect(query.filter),
        after=max(limits, default=None),
        before=min(ends, default=None),
        sort=parse_sort(sort) or query.sort,
    )


def parse_zone(name: str | None) -> tzinfo:
    """Return the time zone of an IANA name; UTC without one. Raises `InvalidInput`."""
    if not name:
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidInput(
            f"unknown time zone {name[:40]!r}; give a name such as Europe/Berlin", "tz"
        ) from None
