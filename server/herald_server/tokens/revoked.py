"""Which tokens are revoked, and who must leave because of it.

A revocation is a note in the store, so it outlives every process. Each process
knows the list by heart and reads it again every `READ_EVERY` seconds: no request
waits for it, and a token that was revoked elsewhere opens nothing after that long.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable

from herald_monitor.errors import StoreError
from herald_monitor.notes import Notes
from herald_server.auth import Identity

log = logging.getLogger(__name__)

KIND = "revoked"
READ_EVERY = 2.0
REVOKED = "the token was revoked; get a new one"

Leave = Callable[[str], None]


class Revoked:
    """The ids of revoked tokens, as the notes of the store have them."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._ids: frozenset[str] = frozenset()
        self._staying: dict[int, tuple[Identity, Leave]] = {}
        self._number = 0

    def holds(self, who: Identity) -> bool:
        """Say whether the token of `who`, or one that it was made from, is revoked."""
        return self.has((who.id, *who.by))

    def has(self, ids: Iterable[str]) -> bool:
        """Say whether any of `ids` is revoked."""
        return bool(self._ids) and not self._ids.isdisjoint(ids)

    async def add(self, id_: str, seconds: float) -> None:
        """Revoke `id_` for so long; who is here with it leaves now.

        Raises `StoreError`.
        """
        await self._notes.put_note(KIND, id_, b"1", seconds)
        self._know(self._ids | {id_})

    async def read(self) -> None:
        """Read the list. Raises `StoreError`."""
        self._know(await self._notes.noted(KIND))

    async def keep(self) -> None:
        """Read the list again and again until cancelled."""
        while True:
            await asyncio.sleep(READ_EVERY)
            try:
                await self.read()
            except StoreError as error:
                log.debug("revoked tokens are read later: %s", error)

    def _know(self, ids: Iterable[str]) -> None:
        self._ids = frozenset(ids)
        for who, leave in list(self._staying.values()):
            if self.holds(who):
                leave(REVOKED)

    def staying(self, who: Identity, leave: Leave) -> Callable[[], None]:
        """Call `leave` once the token of `who` is revoked; return what ends that."""
        self._number += 1
        number = self._number
        self._staying[number] = who, leave
        return lambda: self._staying.pop(number, None) and None
