"""Event queries of clients, and the result of a poll."""

from __future__ import annotations

import time
from typing import Any

from mcp.types import RequestParams
from pydantic import ConfigDict, Field

from herald_core.model.changes import Change
from herald_core.model.filters import Filter, parse_filter
from herald_core.model.tasks.views import from_rfc3339
from herald_core.store.ports import ChangeLog
from herald_server.auth import request_context
from herald_server.mcp.events.models import (
    find_matching_task,
    make_occurrence,
    parse_position,
)
from herald_server.mcp.http.auth import convert_to_mcp_error
from herald_server.push.log.tail import LogPosition, read_log

MAX_SEARCHED = 5_000
"""Changes that one poll scans; `hasMore` says that it stopped there."""


class EventsParams(RequestParams):
    """Parameters of events/poll, events/stream and (refused) events/subscribe."""

    model_config = ConfigDict(populate_by_name=True)

    name: str = ""
    arguments: dict[str, Any] | None = None
    cursor: str | None = None
    max_age_ms: int | None = Field(None, alias="maxAgeMs", ge=0)
    max_events: int = Field(50, alias="maxEvents", ge=1)


class EventQuery:
    """A validated event query."""

    def __init__(self, params: EventsParams) -> None:
        with convert_to_mcp_error():
            filter_ = parse_filter(params.arguments or {})
            self.filter: Filter = filter_.intersect(request_context.get_task_filter())
            self.since: LogPosition | None = (
                None if params.cursor is None else parse_position(params.cursor)
            )
        self.name = params.name
        self._max_age = params.max_age_ms

    def make_occurrence(self, change: Change) -> dict[str, Any] | None:
        """Return the occurrence of `change`; None if the query does not match."""
        task = find_matching_task(self.name, self.filter, change)
        return None if task is None else make_occurrence(self.name, change, task)

    def is_too_old(self, occurrence: dict[str, Any]) -> bool:
        """Return True if an occurrence is older than `maxAgeMs`."""
        if self._max_age is None or occurrence["timestamp"] is None:
            return False
        return (
            time.time() - from_rfc3339(occurrence["timestamp"])
        ) * 1_000 > self._max_age


class PollResult:
    """Result of a poll, and the position up to which the log was searched."""

    def __init__(self, at: LogPosition) -> None:
        self.at = at
        self.events: list[dict[str, Any]] = []
        self.truncated = False
        self.more = False

    def add_change(
        self, query: EventQuery, change: Change, behind: LogPosition, limit: int
    ) -> bool:
        """Process a change; return False if the result is full."""
        occurrence = query.make_occurrence(change)
        if occurrence is not None and query.is_too_old(occurrence):
            self.truncated = True
        elif occurrence is not None:
            if len(self.events) == limit:
                return False
            self.events.append(occurrence)
        self.at = behind
        return True


async def poll_log(
    log: ChangeLog, query: EventQuery, since: LogPosition, limit: int
) -> PollResult:
    """Search up to `limit` occurrences after `since`. Raises `StoreError`."""
    found, searched = PollResult(since), 0
    while searched < MAX_SEARCHED:
        part = await read_log(log, found.at)
        found.truncated |= bool(part.lost)
        for change, behind in part.changes:
            if not found.add_change(query, change, behind, limit):
                found.more = True
                return found
        found.at = part.end
        searched += max(sum(len(entry.changes) for entry in part.entries), 1)
        if part.end.cursor >= await log.read_end():
            return found
    found.more = True
    return found
