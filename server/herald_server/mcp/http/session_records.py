"""Sessions of the older protocol in the store, so that they outlive a server process.

A client whose session is unknown has to begin anew, which many clients do not: after a
restart they report "Session not found" for ever. So the store keeps with what a session
began, and what it is subscribed to; any server process of the store can open it again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable
from contextlib import suppress

import msgspec

from herald_core.errors import StoreError
from herald_core.model.codec import to_json
from herald_core.store.key_value import KeyValueStore

log = logging.getLogger(__name__)

KEY_KIND = "mcp_session"
TTL_S = 3_600.0
"""Seconds for which a session is kept after its last message."""

REFRESH_S = 600.0
"""Seconds after which a message of a session is recorded again."""

IS_REPLAY = "is_replay"
"""Where the state of a request says that it restores a session."""

MAX_INITIALIZE_BYTES = 8_192
"""Size of a first message that is kept. Usual ones have 300 bytes."""


class SessionRecord(msgspec.Struct):
    """What a session began with. `owner` is the credential that may use it."""

    owner: str
    initialize: msgspec.Raw
    uris: list[str] = []


class SessionRecords:
    """Records of the sessions that are open in this process, and of others."""

    def __init__(self, store: KeyValueStore) -> None:
        self._store = store
        self._open: dict[str, SessionRecord] = {}
        self._stored_at: dict[str, float] = {}

    def add(self, id_: str, owner: str, initialize: bytes) -> None:
        """Remember a session that was opened; it is stored once it is used."""
        if len(initialize) <= MAX_INITIALIZE_BYTES:
            self._open[id_] = SessionRecord(owner, msgspec.Raw(initialize))

    def retain(self, ids: Iterable[str]) -> None:
        """Forget the sessions in memory that are none of `ids`."""
        kept = set(ids)
        for gone in self._open.keys() - kept:
            self._open.pop(gone)
            self._stored_at.pop(gone, None)

    async def touch(self, id_: str) -> None:
        """Note that a session is used. A store that is away is no error."""
        at = self._stored_at.get(id_)
        if at is None or time.monotonic() - at > REFRESH_S:
            await self._put(id_)

    async def set_uris(self, id_: str | None, uris: Iterable[str]) -> None:
        """Record what a session is subscribed to."""
        record = self._open.get(id_ or "")
        if id_ is not None and record is not None:
            record.uris = list(uris)
            await self._put(id_)

    async def put_quiet(self, timeout_s: float) -> None:
        """Store anew the sessions that only listened for a while.

        For a process that stops, within `timeout_s`: those records may be about to
        expire, though a client has its stream open.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                for id_ in list(self._stored_at):
                    await self.touch(id_)

    async def find(self, id_: str) -> SessionRecord | None:
        """Return a session of any process; None if it is unknown or forgotten.

        Raises `StoreError`.
        """
        text = await self._store.get_item(KEY_KIND, id_)
        if text is None:
            return None
        with suppress(msgspec.DecodeError):
            record = self._open[id_] = msgspec.json.decode(text, type=SessionRecord)
            return record
        return None

    async def delete(self, id_: str) -> None:
        """Forget a session that its client ended."""
        self._open.pop(id_, None)
        self._stored_at.pop(id_, None)
        with suppress(StoreError):
            await self._store.delete_item(KEY_KIND, id_)

    async def _put(self, id_: str) -> None:
        record = self._open.get(id_)
        if record is None:
            return
        self._stored_at[id_] = time.monotonic()
        try:
            await self._store.put_item(KEY_KIND, id_, to_json(record), TTL_S)
        except StoreError as error:
            log.debug("the MCP session is not recorded: %s", error)
