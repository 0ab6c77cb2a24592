"""The extension `io.modelcontextprotocol/events` (experimental).

It replaces polling: a client subscribes with Herald's filter as arguments, and Herald's
cursor lets it resume.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from fastmcp.server.extensions import MethodBinding, ServerExtension
from mcp.shared.exceptions import MCPError
from mcp.types import INVALID_PARAMS, RequestParams

from herald_core.store.ports import ChangeLog
from herald_server.auth.identity import PermissionDenied
from herald_server.auth.quotas.watched_values import hold_filter_values
from herald_server.catalog.types import suggest_name
from herald_server.mcp.events.models import (
    EVENT_TYPES,
    describe_types,
)
from herald_server.mcp.events.poll import EventQuery, EventsParams, PollResult, poll_log
from herald_server.mcp.events.stream import EventStream, Request
from herald_server.mcp.http.auth import (
    convert_to_mcp_error,
    get_caller,
    require_scope,
)
from herald_server.mcp.http.stream_quota import StreamQuota
from herald_server.push.log.hub import Hub
from herald_server.push.log.tail import LogPosition, LogTail

EXTENSION_ID = "io.modelcontextprotocol/events"

NOT_FOUND_CODE = -32011
FORBIDDEN_CODE = -32012
EXHAUSTED_CODE = -32013
UNSUPPORTED_CODE = -32014

POLL_INTERVAL_MS = 5_000
MAX_EVENTS = 500
"""Maximum number of events that one poll can request."""
MAX_STREAMS = 256
HEARTBEAT_S = 15.0
"""Seconds without an event after which a stream sends a heartbeat (at most 30 are
allowed)."""


class EventsExtension(ServerExtension):
    """Serves events/list, events/poll and events/stream from the change log."""

    identifier = EXTENSION_ID

    def __init__(
        self, log: ChangeLog, hub: Hub, heartbeat: float = HEARTBEAT_S
    ) -> None:
        self._log = log
        self._hub = hub
        self.heartbeat = heartbeat
        self._tails: set[LogTail] = set()
        self._quota = StreamQuota(MAX_STREAMS, EXHAUSTED_CODE)

    def settings(self) -> dict[str, Any]:
        """Return the settings of the extension."""
        return {"listChanged": False, "experimental": True}

    def methods(self) -> Sequence[MethodBinding]:
        """Return the methods of the extension."""
        return [
            MethodBinding("events/list", RequestParams, self._list_types),
            MethodBinding("events/poll", EventsParams, self._poll),
            MethodBinding("events/stream", EventsParams, self._stream),
            MethodBinding("events/subscribe", EventsParams, self._refuse_webhook),
            MethodBinding("events/unsubscribe", RequestParams, self._refuse_webhook),
        ]

    def close(self) -> None:
        """End all streams; clients get a reason."""
        for tail in self._tails:
            tail.close()

    async def _list_types(self, ctx: Request, params: RequestParams) -> dict[str, Any]:
        _require_read("events/list")
        return {"resultType": "complete", "events": describe_types()}

    async def _poll(self, ctx: Request, params: EventsParams) -> dict[str, Any]:
        wish = _parse_query(params, "events/poll")
        if params.max_events > MAX_EVENTS:
            raise MCPError(INVALID_PARAMS, f"maxEvents is at most {MAX_EVENTS}")
        with convert_to_mcp_error():
            if wish.since is None:
                found = PollResult(LogPosition(await self._log.read_end()))
            else:
                found = await poll_log(self._log, wish, wish.since, params.max_events)
        return {
            "resultType": "complete",
            "events": found.events,
            "cursor": str(found.at),
            "truncated": found.truncated,
            "hasMore": found.more,
            "nextPollMs": 0 if found.more else POLL_INTERVAL_MS,
        }

    async def _stream(self, ctx: Request, params: EventsParams) -> dict[str, Any]:
        wish = _parse_query(params, "events/stream")
        since = wish.since or LogPosition(self._hub.pos)
        with (
            self._quota.hold(get_caller()),
            convert_to_mcp_error(),
            hold_filter_values(wish.filter.size),
            LogTail(self._hub, self._log, since) as tail,
        ):
            self._tails.add(tail)
            try:
                await EventStream(ctx, wish, tail, self.heartbeat).run()
            finally:
                self._tails.discard(tail)
        return {"resultType": "complete"}

    async def _refuse_webhook(self, ctx: Request, params: RequestParams) -> NoReturn:
        _require_read("events/subscribe")
        raise MCPError(
            UNSUPPORTED_CODE,
            "Herald does not deliver events to callbacks over MCP; use events/stream "
            "or events/poll",
            {"kind": "delivery", "mode": "webhook", "supported": ["poll", "push"]},
        )


def _parse_query(params: EventsParams, method: str) -> EventQuery:
    _require_read(method)
    if params.name not in EVENT_TYPES:
        raise MCPError(
            NOT_FOUND_CODE,
            f"no event {params.name[:60]!r}"
            f"{suggest_name(params.name[:60], EVENT_TYPES)}; "
            "events/list has them all",
            {"kind": "event"},
        )
    return EventQuery(params)


def _require_read(method: str) -> None:
    try:
        require_scope("read", method)
    except PermissionDenied as error:
        raise MCPError(FORBIDDEN_CODE, str(error)) from error
