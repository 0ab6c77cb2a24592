"""The extension `io.modelcontextprotocol/events` (experimental here): what happens.

The official answer to polling: a client names what it wants to hear of, with our
filter as arguments, and our cursor lets it resume where it broke off.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from fastmcp.server.extensions import MethodBinding, ServerExtension
from mcp.shared.exceptions import MCPError
from mcp.types import INVALID_PARAMS, RequestParams

from herald_monitor.store import Log
from herald_server.auth import NotAllowed
from herald_server.catalog_types import closest
from herald_server.held_values import holding_values
from herald_server.hub import Hub
from herald_server.mcp.access import demand, serving
from herald_server.mcp.events_poll import Found, Wanted, Wish, look
from herald_server.mcp.events_stream import Request, Stream
from herald_server.mcp.events_wire import (
    NAMES,
    Place,
    described,
)
from herald_server.mcp.tail import Tail

ID = "io.modelcontextprotocol/events"

NOT_FOUND = -32011
FORBIDDEN = -32012
EXHAUSTED = -32013
UNSUPPORTED = -32014

POLL_MS = 5_000
MOST = 500
"""Occurrences that one poll may ask for."""
MAX_STREAMS = 256
HEARTBEAT = 15.0
"""Seconds after which a quiet stream says that it lives (at most 30 are allowed)."""


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
                found = await look(self._log, wish, wish.since, params.max_events)
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
        with (
            serving(),
            holding_values(wish.filter.size),
            Tail(self._hub, self._log, wish.since or Place(self._hub.pos)) as tail,
        ):
            self._open.add(tail)
            try:
                await Stream(ctx, wish, tail, self.heartbeat).run()
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
