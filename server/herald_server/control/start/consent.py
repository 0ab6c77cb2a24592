"""Confirmation of one start by a person: requested and redeemed with a ticket.

A ticket is bound to the caller and to all that would be sent, expires after
`TICKET_TTL_S` seconds, and can be redeemed once. All server processes of a store share
the key that signs tickets.
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

from herald_core.errors import HeraldError
from herald_core.store.key_value import KeyValueStore

CLIENT: Final = "client"
PERSON: Final = "person"
"""Who can pass on the consent of a person: any client, or only one that asks through
elicitation."""

TICKET_TTL_S: Final = 300
"""Seconds for which a question may be answered."""

KEY_TTL_S: Final = 30 * 86_400.0
KIND: Final = "consent"
KEY_ID: Final = "key"
KEY_BYTES: Final = 32

_HEAD: Final = struct.Struct(">Q16s")


class ConfirmationRequired(HeraldError):
    """A person must confirm first: `question` is for them, `ticket` redeems a yes."""

    def __init__(self, question: str, ticket: str) -> None:
        super().__init__(question)
        self.question = question
        self.ticket = ticket


class TicketIssuer:
    """Issues and redeems tickets, across all processes of the store."""

    def __init__(self, store: KeyValueStore, policy: str = CLIENT) -> None:
        self.policy = policy
        self._store = store
        self._key = b""

    @property
    def key(self) -> bytes:
        """Key shared by all processes of the store, once `load_key` was awaited."""
        return self._key

    async def load_key(self) -> None:
        """Load the key, or create one. Raises `StoreError`."""
        if self._key:
            return
        fresh = os.urandom(KEY_BYTES)
        await self._store.put_item(KIND, KEY_ID, fresh, KEY_TTL_S, new=True)
        self._key = await self._store.get_item(KIND, KEY_ID) or fresh

    async def issue(self, order: bytes, now: float | None = None) -> str:
        """Return a ticket for the fingerprint of a start. Raises `StoreError`."""
        await self.load_key()
        until = int(time.time() if now is None else now) + TICKET_TTL_S
        head = _HEAD.pack(until, os.urandom(16))
        return base64.urlsafe_b64encode(head + self._sign(head, order)).decode()

    async def redeem(self, ticket: str, order: bytes, now: float | None = None) -> bool:
        """Return True if `ticket` is valid for the start; it is valid once.

        Raises `StoreError`.
        """
        await self.load_key()
        try:
            raw = base64.b64decode(ticket.encode(), b"-_", validate=True)
            head, signed = raw[: _HEAD.size], raw[_HEAD.size :]
            until, nonce = _HEAD.unpack(head)
        except (binascii.Error, UnicodeError, struct.error):
            return False
        at = time.time() if now is None else now
        if not hmac.compare_digest(signed, self._sign(head, order)) or until < at:
            return False
        used = hashlib.sha256(nonce).hexdigest()
        # A unique text: an item that is put twice would count as put once.
        mine = os.urandom(16)
        return await self._store.put_item(KIND, used, mine, 2 * TICKET_TTL_S, new=True)

    def _sign(self, head: bytes, order: bytes) -> bytes:
        return hmac.digest(self._key, head + order, "sha256")
