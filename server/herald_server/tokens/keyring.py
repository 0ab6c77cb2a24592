"""All tokens that open doors, of every kind: one check for all of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import jwt

from herald_server.auth import Identity, Tokens
from herald_server.tokens.claims import BadToken
from herald_server.tokens.jwks import UnknownKey
from herald_server.tokens.minting import EXPIRED, TYPE, WRONG, Mint
from herald_server.tokens.outside import Outside
from herald_server.tokens.revoked import REVOKED, Leave, Revoked

__all__ = ["BadToken", "Keyring"]

MOST = 8_192
"""Characters of a token."""

NEEDED = "a valid token is needed"


class Keyring:
    """Checks tokens: chosen ones, minted ones, and those of an issuer."""

    def __init__(
        self,
        chosen: Tokens,
        mint: Mint | None = None,
        outside: Outside | None = None,
        revoked: Revoked | None = None,
    ) -> None:
        self.chosen = chosen
        self.mint = mint
        self.outside = outside
        self.revoked = revoked

    async def admit(self, token: str | None) -> Identity:
        """Return who `token` belongs to. Raises `BadToken` with the reason.

        Fetches the issuer's keys if the token names one that is new.
        """
        try:
            return self.look(token)
        except UnknownKey:
            keys = self.outside.keys if self.outside else None
            if keys is None or not await keys.fetch_for_unknown():
                raise
            return self.look(token)

    def look(self, token: str | None) -> Identity:
        """Return who `token` belongs to, by what is known here. Raises `BadToken`."""
        if not token:
            raise BadToken(NEEDED)
        if len(token) > MOST:
            raise BadToken(WRONG)
        who = self.chosen.check(token) or self._signed(token, time.time())
        if self.revoked is not None and self.revoked.holds(who):
            raise BadToken(REVOKED)
        return who

    def _signed(self, token: str, now: float) -> Identity:
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.InvalidTokenError, ValueError, RecursionError):
            raise BadToken(NEEDED) from None
        if header.get("typ") == TYPE and self.mint is not None:
            return self.mint.read(token, now)
        if self.outside is not None:
            return self.outside.read(token, header, now)
        raise BadToken(WRONG)

    def ends(self, who: Identity) -> bool:
        """Say whether `who` may have to leave while they are here."""
        return who.expires is not None or bool(who.id or who.by)

    def staying(self, who: Identity, leave: Leave) -> Callable[[], None]:
        """Call `leave` with the reason once the token of `who` is good no more.

        Returns what ends that. Must be called where an event loop runs.
        """
        ends: list[Callable[[], object]] = []
        if who.expires is not None:
            left = max(who.expires - time.time(), 0.0)
            loop = asyncio.get_running_loop()
            ends.append(loop.call_later(left, leave, EXPIRED).cancel)
        if self.revoked is not None and (who.id or who.by):
            ends.append(self.revoked.staying(who, leave))

        def end() -> None:
            for one in ends:
                one()

        return end
