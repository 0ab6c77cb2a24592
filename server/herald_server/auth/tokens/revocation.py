"""Revoked tokens, and the connections that must end because of them.

A revocation is stored, so it outlives every process. Each process has the list in
memory and reads it again every `READ_INTERVAL_S` seconds: no request waits for it, and
a token that was revoked elsewhere is rejected after that time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable

from herald_core.errors import StoreError
from herald_core.store.key_value import KeyValueStore
from herald_server.auth.identity import Identity

log = logging.getLogger(__name__)

KEY_KIND = "revoked"
READ_INTERVAL_S = 2.0
REVOKED_MESSAGE = "the token was revoked; get a new one"

OnInvalid = Callable[[str], None]


class RevocationList:
    """Ids of revoked tokens, from the store."""

    def __init__(self, store: KeyValueStore) -> None:
        self._store = store
        self._ids: frozenset[str] = frozenset()
        self._listeners: dict[int, tuple[Identity, OnInvalid]] = {}
        self._number = 0

    def is_revoked(self, who: Identity) -> bool:
        """Return True if the token of `who`, or one from which it was
        minted, is revoked."""
        return bool(self._ids) and not self._ids.isdisjoint((who.id, *who.issuers))

    def has_any(self, ids: Iterable[str]) -> bool:
        """Return True if any of `ids` is revoked."""
        return bool(self._ids) and not self._ids.isdisjoint(ids)

    async def add(self, id_: str, seconds: float) -> None:
        """Revoke `id_` for `seconds`; its connections end now.

        Raises `StoreError`.
        """
        await self._store.put_item(KEY_KIND, id_, b"1", seconds)
        self._add_ids(self._ids | {id_})

    async def read(self) -> None:
        """Read the list. Raises `StoreError`."""
        self._add_ids(await self._store.list_items(KEY_KIND))

    async def refresh_forever(self) -> None:
        """Read the list periodically until cancelled."""
        while True:
            await asyncio.sleep(READ_INTERVAL_S)
            try:
                await self.read()
            except StoreError as error:
                log.debug("revoked tokens are read later: %s", error)

    def _add_ids(self, ids: Iterable[str]) -> None:
        self._ids = frozenset(ids)
        for who, leave in list(self._listeners.values()):
            if self.is_revoked(who):
                leave(REVOKED_MESSAGE)

    def call_when_revoked(self, who: Identity, leave: OnInvalid) -> Callable[[], None]:
        """Call `leave` once the token of `who` is revoked; return a
        function that stops it."""
        self._number += 1
        number = self._number
        self._listeners[number] = who, leave
        return lambda: self._listeners.pop(number, None) and None
