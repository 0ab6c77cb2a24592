"""The consent of a person to one order: asked for with a ticket, given with it.

A ticket is bound to the caller and to all that would be sent, runs out after
`ASKED_FOR` seconds, and is good once. Every server process of a store knows the key
that tickets are signed with.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import struct
import time
from typing import Final

from herald_monitor.errors import HeraldError
from herald_monitor.notes import Notes

CLIENT: Final = "client"
PERSON: Final = "person"
"""Who may tell of a person's consent: any client, or only one that asks through
elicitation."""

ASKED_FOR: Final = 300
"""Seconds for which a question may be answered."""

KEY_KEPT: Final = 30 * 86_400.0
KIND: Final = "consent"
KEY_ID: Final = "key"
KEY_BYTES: Final = 32

_HEAD: Final = struct.Struct(">Q16s")


class Unconfirmed(HeraldError):
    """A person has to agree first: `question` is theirs, `ticket` carries a yes."""

    def __init__(self, question: str, ticket: str) -> None:
        super().__init__(question)
        self.question = question
        self.ticket = ticket


class Consents:
    """Issues tickets and redeems them, in turn with other processes of the store."""

    def __init__(self, notes: Notes, policy: str = CLIENT) -> None:
        self.policy = policy
        self._notes = notes
        self._key = b""

    @property
    def key(self) -> bytes:
        """The key that all processes of the store share, once `open` was awaited."""
        return self._key

    async def open(self) -> None:
        """Read the key, or make one. Raises `StoreError`."""
        if self._key:
            return
        fresh = os.urandom(KEY_BYTES)
        await self._notes.put_note(KIND, KEY_ID, fresh, KEY_KEPT, new=True)
        self._key = await self._notes.note(KIND, KEY_ID) or fresh

    async def issue(self, order: bytes, now: float | None = None) -> str:
        """Return a ticket for an order's fingerprint. Raises `StoreError`."""
        await self.open()
        until = int(time.time() if now is None else now) + ASKED_FOR
        head = _HEAD.pack(until, os.urandom(16))
        return base64.urlsafe_b64encode(head + self._signed(head, order)).decode()

    async def redeem(self, ticket: str, order: bytes, now: float | None = None) -> bool:
        """Say whether `ticket` is good for the order; it is good once.

        Raises `StoreError`.
        """
        await self.open()
        try:
            raw = base64.b64decode(ticket.encode(), b"-_", validate=True)
            head, signed = raw[: _HEAD.size], raw[_HEAD.size :]
            until, nonce = _HEAD.unpack(head)
        except (binascii.Error, UnicodeError, struct.error):
            return False
        at = time.time() if now is None else now
        if not hmac.compare_digest(signed, self._signed(head, order)) or until < at:
            return False
        used = hashlib.sha256(nonce).hexdigest()
        # A text of its own: a note that is put twice would pass as put once.
        mine = os.urandom(16)
        return await self._notes.put_note(KIND, used, mine, 2 * ASKED_FOR, new=True)

    def _signed(self, head: bytes, order: bytes) -> bytes:
        return hmac.digest(self._key, head + order, "sha256")
