"""One stream of events: that it is open, what happens, that it lives, that it ends."""

from __future__ import annotations

import asyncio
from typing import Any

from mcp.server.context import ServerRequestContext
from mcp.server.subscriptions import SUBSCRIPTION_ID_META_KEY
from pydantic import BaseModel

from herald_monitor.errors import StoreError
from herald_server.mcp.events_poll import Wish
from herald_server.mcp.tail import Met, Tail

PAUSE = 0.5
"""Seconds until a store that failed is asked again."""

Request = ServerRequestContext[Any, Any]


class Note(BaseModel):
    """A notification of a stream."""

    method: str
    params: dict[str, Any]


class Stream:
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

    async def _tell(self, changes: list[Met]) -> bool:
        said = False
        for met in changes:
            told = self._wish.told(met.change)
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


def _now() -> float:
    return asyncio.get_running_loop().time()
