"""The extension `io.modelcontextprotocol/events` (experimental here): what happens.

The official answer to polling: a client names what it wants to hear of, with our
filter as arguments, and our cursor lets it resume where it broke off.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any, NoReturn

from fastmcp.server.extensions import MethodBinding, ServerExtension
from mcp.server.context import ServerRequestContext
from mcp.server.subscriptions import SUBSCRIPTION_ID_META_KEY
from mcp.shared.exceptions import MCPError
from mcp.types import INVALID_PARAMS, RequestParams
from pydantic import BaseModel, ConfigDict, Field

from herald_monitor.errors import StoreError
from herald_monitor.model.changes import Change
from herald_monitor.model.filters import Filter, parse_filter
from herald_monitor.model.shape import unix
from herald_monitor.store import Log
from herald_server.catalog_types import closest
from herald_server.hub import Hub
from herald_server.mcp.access import NotAllowed, demand, serving
from herald_server.mcp.events_wire import (
    NAMES,
    Place,
    described,
    occurred,
    occurrence,
    parse_place,
)
from herald_server.mcp.tail import Tail, stretch

ID = "io.modelcontextprotocol/events"

NOT_FOUND = -32011
FORBIDDEN = -32012
EXHAUSTED = -32013
UNSUPPORTED = -32014

POLL_MS = 5_000
MOST = 500
"""Occurrences that one poll may ask for."""
SEARCHED = 5_000
"""Changes that one poll looks through; it says `hasMore` if it stopped there."""
MAX_STREAMS = 256
HEARTBEAT = 15.0
"""Seconds after which a quiet stream says that it lives (at most 30 are allowed)."""
PAUSE = 0.5

Request = ServerRequestContext[Any, Any]


class Wanted(RequestParams):
    """Parameters of events/poll, events/stream and (refused) events/subscribe."""

    model_config = ConfigDict(populate_by_name=True)

    name: str = ""
    arguments: dict[str, Any] | None = None
    cursor: str | None = None
    max_age_ms: int | None = Field(None, alias="maxAgeMs", ge=0)
    max_events: int = Field(50, alias="maxEvents", ge=1)


class Note(BaseModel):
    """A notification of a stream."""

    method: str
    params: dict[str, Any]


class Wish:
    """What a client wants to hear of, checked."""

    def __init__(self, params: Wanted) -> None:
        with serving():
            self.filter: Filter = parse_filter(params.arguments or {})
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


class Events(ServerExtension):
    """Serves events/list, events/poll and events/stream from the log."""

    identifier = ID

    def __init__(self, log: Log, hub: Hub, heartbeat: float = HEARTBEAT) -> None:
        self._log = log
        self._hub = hub
        self.heartbeat = heartbeat
        self._open: set[Tail] = set()

    def settings(self) -> dict[str, Any]:
        """Return what the server says of the extension."""
        return {"listChanged": False, "experimental": True}

    def methods(self) -> Sequence[MethodBinding]:
        """Return the methods of the extension."""
        return [
            MethodBinding("events/list", RequestParams, self._list),
            MethodBinding("events/poll", Wanted, self._poll),
            MethodBinding("events/stream", Wanted, self._stream),
            MethodBinding("events/subscribe", Wanted, self._no_webhook),
            MethodBinding("events/unsubscribe", RequestParams, self._no_webhook),
        ]

    def close(self) -> None:
        """End all streams; their clients are told that they ended on purpose."""
        for tail in self._open:
            tail.end()

    async def _list(self, ctx: Request, params: RequestParams) -> dict[str, Any]:
        _permit("events/list")
        return {"resultType": "complete", "events": described()}

    async def _poll(self, ctx: Request, params: Wanted) -> dict[str, Any]:
        wish = _checked(params, "events/poll")
        if params.max_events > MOST:
            raise MCPError(INVALID_PARAMS, f"maxEvents is at most {MOST}")
        with serving():
            if wish.since is None:
                found = Found(Place(await self._log.end()))
            else:
                found = await _found(self._log, wish, wish.since, params.max_events)
        return {
            "resultType": "complete",
            "events": found.events,
            "cursor": str(found.at),
            "truncated": found.truncated,
            "hasMore": found.more,
            "nextPollMs": 0 if found.more else POLL_MS,
        }

    async def _stream(self, ctx: Request, params: Wanted) -> dict[str, Any]:
        wish = _checked(params, "events/stream")
        if len(self._open) >= MAX_STREAMS:
            raise MCPError(EXHAUSTED, "too many streams are open here; try again later")
        with Tail(self._hub, self._log, wish.since or Place(self._hub.pos)) as tail:
            self._open.add(tail)
            try:
                await _Stream(ctx, wish, tail, self.heartbeat).run()
            finally:
                self._open.discard(tail)
        return {"resultType": "complete"}

    async def _no_webhook(self, ctx: Request, params: RequestParams) -> NoReturn:
        _permit("events/subscribe")
        raise MCPError(
            UNSUPPORTED,
            "Herald does not deliver events to callbacks over MCP; use events/stream "
            "or events/poll",
            {"kind": "delivery", "mode": "webhook", "supported": ["poll", "push"]},
        )


class Found:
    """What a poll found on its way, and how far it came."""

    def __init__(self, at: Place) -> None:
        self.at = at
        self.events: list[dict[str, Any]] = []
        self.truncated = False
        self.more = False

    def take(self, wish: Wish, change: Change, most: int) -> bool:
        """Go past `change`; say no if it is one occurrence too many."""
        told = wish.told(change)
        if told is not None and wish.too_old(told):
            self.truncated = True
        elif told is not None:
            if len(self.events) == most:
                return False
            self.events.append(told)
        self.at = Place(*change.place)
        return True


async def _found(log: Log, wish: Wish, since: Place, most: int) -> Found:
    """Look for `most` occurrences behind `since`. Raises `StoreError`."""
    found, searched = Found(since), 0
    while searched < SEARCHED:
        part = await stretch(log, found.at)
        found.truncated |= part.broken
        for change in part.changes:
            if not found.take(wish, change, most):
                found.more = True
                return found
        found.at = part.at
        searched += max(len(part.changes), 1)
        if part.at.cursor >= await log.end():
            return found
    found.more = True
    return found


class _Stream:
    """One stream: what is sent on it, in order."""

    def __init__(self, ctx: Request, wish: Wish, tail: Tail, heartbeat: float) -> None:
        self._ctx = ctx
        self._wish = wish
        self._tail = tail
        self._heartbeat = heartbeat
        self._meta = {SUBSCRIPTION_ID_META_KEY: ctx.request_id}
        self._troubled = False

    async def run(self) -> None:
        """Say that it is open, then what happens, until it is ended."""
        await self._send("active", cursor=str(self._tail.at), truncated=False)
        quiet_since = _now()
        while True:
            left = quiet_since + self._heartbeat - _now()
            try:
                async with asyncio.timeout(max(left, 0.0)):
                    found = await self._tail.more()
            except TimeoutError:
                await self._send("heartbeat", cursor=str(self._tail.at))
                quiet_since = _now()
                continue
            except StoreError as error:
                await self._trouble(str(error))
                continue
            if found is None:
                await self._send("terminated", reason="the server is about to stop")
                return
            self._troubled = False
            if found.broken:
                # The place stays good: from here on nothing is missing again.
                await self._send("active", cursor=str(self._tail.at), truncated=True)
            if await self._tell(found.changes):
                quiet_since = _now()

    async def _tell(self, changes: list[Change]) -> bool:
        said = False
        for change in changes:
            told = self._wish.told(change)
            if told is not None and not self._wish.too_old(told):
                await self._send("event", **told)
                said = True
        return said

    async def _trouble(self, sentence: str) -> None:
        if not self._troubled:
            self._troubled = True
            await self._send("error", code=-32603, message=sentence, retry=True)
        await asyncio.sleep(PAUSE)

    async def _send(self, what: str, **params: Any) -> None:
        await self._ctx.session.send_notification(
            Note(  # type: ignore[arg-type]
                method=f"notifications/events/{what}",
                params={**params, "_meta": self._meta},
            ),
            related_request_id=self._ctx.request_id,
        )


def _checked(params: Wanted, method: str) -> Wish:
    _permit(method)
    if params.name not in NAMES:
        raise MCPError(
            NOT_FOUND,
            f"no event {params.name[:60]!r}{closest(params.name[:60], NAMES)}; "
            "events/list has them all",
            {"kind": "event"},
        )
    return Wish(params)


def _permit(method: str) -> None:
    try:
        demand("read", method)
    except NotAllowed as error:
        raise MCPError(FORBIDDEN, str(error)) from error


def _now() -> float:
    return asyncio.get_running_loop().time()
