"""What changed since a cursor, for who asks now and then: one answer a question.

The same session as a WebSocket's, pumped for as long as one call lasts. So the
rules are the same too: nothing is missed between two calls, and where that
cannot be helped, the answer is a fresh snapshot that says so.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any, cast

import msgspec

from herald_monitor.errors import BadCursor, BadInput
from herald_monitor.model.codec import to_json
from herald_monitor.model.filters import parse_filter
from herald_monitor.model.vector import parse_any_cursor
from herald_server import caller
from herald_server.held_values import holding_values
from herald_server.hub import Hub
from herald_server.limits import Limits
from herald_server.reading import Library
from herald_server.session import Session

MOST = 500
"""Tasks of one snapshot."""

GATHER = 0.05
"""Seconds in which what comes with the first change is waited for."""

READ_WITHIN = 10.0
"""Seconds that the store has for what there is already."""


class Unanswerable(BadInput):
    """The store could not be read far enough."""


class Gathered:
    """What the frames of a session come to. `cursor` is empty until it is complete."""

    def __init__(self) -> None:
        self.put: dict[str, dict[str, Any]] = {}
        self.gone: dict[str, None] = {}
        self.cursor = ""
        self.reset: str | None = None
        self.done = False

    @property
    def news(self) -> bool:
        """Whether there is anything to tell at once."""
        told = bool(self.put or self.gone or self.reset)
        return bool(self.cursor) and (told or self.done)

    def add(self, frame: Mapping[str, Any]) -> None:
        """Take in one frame. Raises `BadInput` for an error."""
        kind = frame["type"]
        if kind == "error":
            raise BadInput(str(frame["message"]), "filter")
        if kind == "done":
            self.done = True
        if "reset" in frame:
            self.put, self.gone, self.reset = {}, {}, str(frame["reset"])
        if kind == "data":
            self._merge(frame)
        if "cursor" in frame:
            self.cursor = str(frame["cursor"])
        elif kind == "data":
            self.cursor = ""

    def _merge(self, frame: Mapping[str, Any]) -> None:
        for one in frame.get("put", ()):
            self.gone.pop(one["id"], None)
            self.put[one["id"]] = one
        for id_ in frame.get("del", ()):
            self.put.pop(id_, None)
            self.gone[id_] = None


class Asking:
    """One question: what changed since `cursor` (empty: all that matches now)."""

    def __init__(self, hub: Hub, library: Library, closing: asyncio.Event) -> None:
        self._hub = hub
        self._library = library
        self._closing = closing
        self._ready = asyncio.Event()

    async def __call__(
        self,
        filter_: Mapping[str, object],
        cursor: str | None,
        newest: int,
        seconds: float,
    ) -> Gathered:
        """Return what there is, or what comes first within `seconds`.

        Raises `BadInput`, `StoreError`, `TooMany`.
        """
        with holding_values(parse_filter(filter_).size):
            return await self._ask(_wish(filter_, cursor, newest), seconds)

    async def _ask(self, wish: Mapping[str, object], seconds: float) -> Gathered:
        session = Session(
            self._hub, self._ready.set, Limits(snapshot=MOST), only=caller.only()
        )
        session.receive(to_json(wish), time.monotonic())
        told = Gathered()
        closing = asyncio.create_task(self._close())
        until = time.monotonic() + seconds
        try:
            await self._read(session, told)
            while not told.news and await self._moved(until - time.monotonic()):
                await self._read(session, told)
        finally:
            closing.cancel()
            session.end()
        return told

    async def _close(self) -> None:
        await self._closing.wait()
        self._ready.set()

    async def _moved(self, seconds: float) -> bool:
        """Wait for news, at most some `seconds`; say whether there may be any."""
        if self._closing.is_set():
            return False
        try:
            async with asyncio.timeout(max(seconds, 0.0)):
                await self._ready.wait()
        except TimeoutError:
            return False
        if self._closing.is_set():
            return False
        await asyncio.sleep(min(GATHER, max(seconds, 0.0)))
        return True

    async def _read(self, session: Session, told: Gathered) -> None:
        """Take in what there is, up to a cursor: no answer is given half."""
        try:
            async with asyncio.timeout(READ_WITHIN):
                while True:
                    self._ready.clear()
                    await self._step(session, told)
                    if told.cursor:
                        return
                    await self._ready.wait()
        except TimeoutError:
            raise Unanswerable("nothing was read in time; ask again") from None

    async def _step(self, session: Session, told: Gathered) -> None:
        while session.reads and not session.closing:
            read = session.reads.popleft()
            if not session.wanted(read):
                continue
            async for _ in self._library.serve(session, read):
                _take(session.control(), told)
        _take(session.control(), told)
        if session.closing:
            raise Unanswerable(session.closing[1])
        _take(session.data(time.monotonic()), told)


def _take(frames: list[bytes], told: Gathered) -> None:
    for frame in frames:
        told.add(cast("dict[str, Any]", msgspec.json.decode(frame)))


def _wish(
    filter_: Mapping[str, object], cursor: str | None, newest: int
) -> dict[str, object]:
    """Return a `subscribe`; its cursor is checked here, for our own words."""
    wish: dict[str, object] = {
        "type": "subscribe",
        "id": "call",
        "filter": filter_,
        "limit": newest,
    }
    if cursor:
        try:
            parse_any_cursor(cursor)
        except BadCursor:
            raise BadCursor(
                "cursor must be one that wait_for_changes returned; leave it out to "
                "begin",
                "cursor",
            ) from None
        wish["since"] = cursor
    return wish
