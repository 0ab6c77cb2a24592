"""Return the changes since a cursor, one response per call.

It uses the same session as a WebSocket for the duration of a call, so the same
guarantees hold: no change is missed between two calls, and where that is impossible the
response is a new snapshot that says so.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any, cast

import msgspec

from herald_core.errors import InvalidCursor, InvalidInput
from herald_core.model.codec import to_json
from herald_core.model.filters import Filter, parse_filter
from herald_server.auth import request_context
from herald_server.auth.quotas.watched_values import hold_filter_values
from herald_server.push.log.hub import Hub
from herald_server.push.protocol.limits import Limits
from herald_server.push.session.log_pages import (
    LogPage,
    LogPlace,
    parse_place,
    read_log_page,
)
from herald_server.push.session.session import Session
from herald_server.push.session.snapshots import SnapshotReader

MAX_CHANGES = 500
"""Tasks of one snapshot."""

GATHER_S = 0.05
"""Seconds for which further changes are collected after the first."""

READ_TIMEOUT_S = 10.0
"""Seconds that the store has for what there is already."""


class PollFailed(InvalidInput):
    """The store could not be read up to a cursor."""


class PolledChanges:
    """The merged frames of a session. `cursor` is empty until they are complete."""

    def __init__(self) -> None:
        self.put: dict[str, dict[str, Any]] = {}
        self.gone: dict[str, None] = {}
        self.cursor = ""
        self.reset: str | None = None
        self.done = False
        self.more = 0
        """Number of tasks that changed after `cursor`; if not `is_counted`, at least
        so many."""
        self.is_counted = True

    @property
    def size(self) -> int:
        """Number of tasks."""
        return len(self.put) + len(self.gone)

    @property
    def has_changes(self) -> bool:
        """Whether there is something to return immediately."""
        told = bool(self.put or self.gone or self.reset)
        return bool(self.cursor) and (told or self.done)

    def add(self, frame: Mapping[str, Any]) -> None:
        """Merge one frame. Raises `InvalidInput` for an error."""
        kind = frame["type"]
        if kind == "error":
            raise InvalidInput(str(frame["message"]), "filter")
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


class ChangePoll:
    """One poll: the changes since `cursor` (empty: a snapshot of all that matches)."""

    def __init__(
        self, hub: Hub, library: SnapshotReader, closing: asyncio.Event
    ) -> None:
        self._hub = hub
        self._snapshots = library
        self._closing = closing
        self._ready = asyncio.Event()

    async def __call__(
        self,
        filter_: Mapping[str, object],
        cursor: str | None,
        newest: int,
        seconds: float,
        most: int = MAX_CHANGES,
    ) -> PolledChanges:
        """Return the pending changes, or the first within `seconds`.

        Of more than `most` tasks the first are returned, and `more` is how many follow
        the cursor. Raises `InvalidInput`, `StoreError`, `QuotaExceeded`.
        """
        wanted = parse_filter(filter_)
        with hold_filter_values(wanted.size):
            place = _parse_place(cursor) if cursor else None
            if place is not None and place.skip:
                page = await self._read_page(wanted, place, most)
                if page is not None and page.has_changes:
                    return _make_polled(page)
                place = LogPlace(place.after) if page is None else page.place
            since = None if place is None else str(place.after)
            told = await self._poll(_make_subscribe(filter_, since, newest), seconds)
            if place is None or told.reset or told.size <= most:
                return told
            page = await self._read_page(wanted, place, most)
            return told if page is None else _make_polled(page)

    async def _read_page(
        self, wanted: Filter, place: LogPlace, most: int
    ) -> LogPage | None:
        filter_ = wanted.intersect(request_context.get_task_filter())
        return await read_log_page(
            self._snapshots.log, filter_, place, most, self._hub.pos
        )

    async def _poll(self, wish: Mapping[str, object], seconds: float) -> PolledChanges:
        session = Session(
            self._hub,
            self._ready.set,
            Limits(snapshot=MAX_CHANGES),
            only=request_context.get_task_filter(),
        )
        session.receive(to_json(wish), time.monotonic())
        told = PolledChanges()
        closing = asyncio.create_task(self._close())
        until = time.monotonic() + seconds
        try:
            await self._read_to_cursor(session, told)
            while not told.has_changes and await self._wait_for_change(
                until - time.monotonic()
            ):
                await self._read_to_cursor(session, told)
        finally:
            closing.cancel()
            session.end()
        return told

    async def _close(self) -> None:
        await self._closing.wait()
        self._ready.set()

    async def _wait_for_change(self, seconds: float) -> bool:
        """Wait up to `seconds` for changes; return False if there can be none."""
        if self._closing.is_set():
            return False
        try:
            async with asyncio.timeout(max(seconds, 0.0)):
                await self._ready.wait()
        except TimeoutError:
            return False
        if self._closing.is_set():
            return False
        await asyncio.sleep(min(GATHER_S, max(seconds, 0.0)))
        return True

    async def _read_to_cursor(self, session: Session, told: PolledChanges) -> None:
        """Read up to a cursor: a response is never partial."""
        try:
            async with asyncio.timeout(READ_TIMEOUT_S):
                while True:
                    self._ready.clear()
                    await self._read_step(session, told)
                    if told.cursor:
                        return
                    await self._ready.wait()
        except TimeoutError:
            raise PollFailed("nothing was read in time; ask again") from None

    async def _read_step(self, session: Session, told: PolledChanges) -> None:
        while session.read_requests and not session.closing:
            read = session.read_requests.pop(0)
            if not session.is_current(read):
                continue
            async for _ in self._snapshots.fulfil(session, read):
                _add_frames(session.take_control_frames(), told)
        _add_frames(session.take_control_frames(), told)
        if session.closing:
            raise PollFailed(session.closing[1])
        _add_frames(session.take_data_frames(time.monotonic()), told)


def _add_frames(frames: list[bytes], told: PolledChanges) -> None:
    for frame in frames:
        told.add(cast("dict[str, Any]", msgspec.json.decode(frame)))


def _make_polled(page: LogPage) -> PolledChanges:
    told = PolledChanges()
    told.put, told.gone, told.cursor = page.put, page.gone, str(page.place)
    told.more, told.is_counted = page.more, page.is_counted
    return told


def _parse_place(cursor: str) -> LogPlace:
    try:
        return parse_place(cursor)
    except InvalidCursor:
        raise InvalidCursor(
            "cursor must be one that wait_for_changes returned; leave it out to begin",
            "cursor",
        ) from None


def _make_subscribe(
    filter_: Mapping[str, object], cursor: str | None, newest: int
) -> dict[str, object]:
    """Return a `subscribe`; the cursor is valid."""
    wish: dict[str, object] = {
        "type": "subscribe",
        "id": "call",
        "filter": filter_,
        "limit": newest,
    }
    if cursor:
        wish["since"] = cursor
    return wish
