"""One stream of events: its start, occurrences, heartbeats and end."""

from __future__ import annotations

import asyncio
from typing import Any

from mcp.server.context import ServerRequestContext
from mcp.server.subscriptions import SUBSCRIPTION_ID_META_KEY
from pydantic import BaseModel

from herald_core.errors import StoreError
from herald_server.mcp.events.poll import EventQuery
from herald_server.push.log.tail import LogSlice, LogTail

PAUSE_S = 0.5
"""Seconds until a store that failed is read again."""

Request = ServerRequestContext[Any, Any]


class EventNotification(BaseModel):
    """A notification of a stream."""

    method: str
    params: dict[str, Any]


class EventStream:
    """One stream and the messages on it, in order."""

    def __init__(
        self, ctx: Request, wish: EventQuery, tail: LogTail, heartbeat: float
    ) -> None:
        self._ctx = ctx
        self._request = wish
        self._tail = tail
        self._heartbeat = heartbeat
        self._meta = {SUBSCRIPTION_ID_META_KEY: ctx.request_id}
        self._has_problem = False

    async def run(self) -> None:
        """Send the start, then occurrences, until the stream is ended."""
        await self._send("active", cursor=str(self._tail.at), truncated=False)
        quiet_since = _read_clock()
        while True:
            left = quiet_since + self._heartbeat - _read_clock()
            try:
                async with asyncio.timeout(max(left, 0.0)):
                    found = await self._tail.read()
            except TimeoutError:
                await self._send("heartbeat", cursor=str(self._tail.at))
                quiet_since = _read_clock()
                continue
            except StoreError as error:
                await self._send_problem(str(error))
                continue
            if found is None:
                await self._send("terminated", reason="the server is about to stop")
                return
            self._has_problem = False
            if found.lost:
                # The cursor stays valid: after it nothing is missing.
                await self._send("active", cursor=str(self._tail.at), truncated=True)
            if await self._send_changes(found):
                quiet_since = _read_clock()

    async def _send_changes(self, found: LogSlice) -> bool:
        has_sent = False
        for change, _ in found.changes:
            occurrence = self._request.make_occurrence(change)
            if occurrence is not None and not self._request.is_too_old(occurrence):
                await self._send("event", **occurrence)
                has_sent = True
        return has_sent

    async def _send_problem(self, sentence: str) -> None:
        if not self._has_problem:
            self._has_problem = True
            await self._send("error", code=-32603, message=sentence, retry=True)
        await asyncio.sleep(PAUSE_S)

    async def _send(self, what: str, **params: Any) -> None:
        await self._ctx.session.send_notification(
            EventNotification(  # type: ignore[arg-type]
                method=f"notifications/events/{what}",
                params={**params, "_meta": self._meta},
            ),
            related_request_id=self._ctx.request_id,
        )


def _read_clock() -> float:
    return asyncio.get_running_loop().time()
