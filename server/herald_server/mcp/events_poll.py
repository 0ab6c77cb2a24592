"""What a client wants to hear of, and what a poll finds of it."""

from __future__ import annotations

import time
from typing import Any

from mcp.types import RequestParams
from pydantic import ConfigDict, Field

from herald_monitor.model.changes import Change
from herald_monitor.model.filters import Filter, parse_filter
from herald_monitor.model.shape import unix
from herald_monitor.store import Log
from herald_server import caller
from herald_server.mcp.access import serving
from herald_server.mcp.events_wire import Place, occurred, occurrence, parse_place
from herald_server.mcp.tail import Met, stretch

SEARCHED = 5_000
"""Changes that one poll looks through; it says `hasMore` if it stopped there."""


class Wanted(RequestParams):
    """Parameters of events/poll, events/stream and (refused) events/subscribe."""

    model_config = ConfigDict(populate_by_name=True)

    name: str = ""
    arguments: dict[str, Any] | None = None
    cursor: str | None = None
    max_age_ms: int | None = Field(None, alias="maxAgeMs", ge=0)
    max_events: int = Field(50, alias="maxEvents", ge=1)


class Wish:
    """What a client wants to hear of, checked."""

    def __init__(self, params: Wanted) -> None:
        with serving():
            asked = parse_filter(params.arguments or {})
            self.filter: Filter = asked.within(caller.only())
            self.since: Place | None = (
                None if params.cursor is None else parse_place(params.cursor)
            )
        self.name = params.name
        self._max_age = params.max_age_ms

    def told(self, change: Change) -> dict[str, Any] | None:
        """Return what is told of `change`, if it is asked for."""
        task = occurred(self.name, self.filter, change)
        return None if task is None else occurrence(self.name, change, task)

    def too_old(self, told: dict[str, Any]) -> bool:
        """Say whether an occurrence is older than the client cares for."""
        if self._max_age is None or told["timestamp"] is None:
            return False
        return (time.time() - unix(told["timestamp"])) * 1_000 > self._max_age


class Found:
    """What a poll found on its way, and how far it came."""

    def __init__(self, at: Place) -> None:
        self.at = at
        self.events: list[dict[str, Any]] = []
        self.truncated = False
        self.more = False

    def take(self, wish: Wish, met: Met, most: int) -> bool:
        """Go past a change; say no if it is one occurrence too many."""
        told = wish.told(met.change)
        if told is not None and wish.too_old(told):
            self.truncated = True
        elif told is not None:
            if len(self.events) == most:
                return False
            self.events.append(told)
        self.at = met.behind
        return True


async def look(log: Log, wish: Wish, since: Place, most: int) -> Found:
    """Look for `most` occurrences behind `since`. Raises `StoreError`."""
    found, searched = Found(since), 0
    while searched < SEARCHED:
        part = await stretch(log, found.at)
        found.truncated |= part.broken
        for met in part.changes:
            if not found.take(wish, met, most):
                found.more = True
                return found
        found.at = part.at
        searched += max(len(part.changes), 1)
        if part.at.cursor >= await log.end():
            return found
    found.more = True
    return found
