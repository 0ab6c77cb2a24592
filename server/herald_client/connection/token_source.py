"""The token of a client, and when it must be renewed. No I/O, no clock."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable

import msgspec

from herald_client.connection.url import check_token

RENEW_BEFORE_S = 60.0
"""Seconds before its end at which a token is renewed."""

RENEW_SHARE = 0.2
"""The same as a share of the time that a token has left, for short ones."""

RETRY_RENEWAL_S = 5.0
"""Seconds after a renewal that failed before the next one."""

Renew = Callable[[], str]
AsyncRenew = Callable[[], str | Awaitable[str]]


class _Claims(msgspec.Struct):
    """The claim of a JWT (RFC 7519 §4.1.4) that a client reads."""

    exp: float


class TokenSource:
    """The token that is sent. `can_renew`: a function gives new ones.

    Times are unix seconds. The end of a token is read from it if it is a JWT; of any
    other it is not known, so that only a refusal leads to a renewal.
    """

    def __init__(self, token: str, now: float, *, can_renew: bool) -> None:
        self.can_renew = can_renew
        self.token = token
        self.renew_at = self._find_renewal(now)
        self._is_fresh = False

    def replace(self, token: str, now: float) -> None:
        """Send `token` from now on. Raises `InvalidInput`."""
        self.token = check_token(token)
        self.renew_at = self._find_renewal(now)
        self._is_fresh = True

    def accept(self) -> None:
        """Note that the server took the token: a later refusal may be its end."""
        self._is_fresh = False

    def delay(self, now: float) -> None:
        """Note that a renewal failed; the next one is tried a little later."""
        self.renew_at = now + RETRY_RENEWAL_S

    def must_refresh(self, refused: str | None, now: float) -> bool:
        """Return True if a new token is needed: it is time, or it was `refused`.

        Another one may have come since then.
        """
        if refused is not None:
            return refused == self.token
        return self.renew_at is not None and now >= self.renew_at

    @property
    def may_renew_refused(self) -> bool:
        """Whether another token may help after a refusal of this one."""
        return self.can_renew and not self._is_fresh

    @property
    def headers(self) -> list[tuple[str, str]]:
        """Headers of every request."""
        return [("Authorization", f"Bearer {self.token}")] if self.token else []

    def _find_renewal(self, now: float) -> float | None:
        end = read_expiry(self.token) if self.can_renew else None
        if end is None:
            return None
        return end - min(RENEW_BEFORE_S, max(end - now, 0.0) * RENEW_SHARE)


def read_expiry(token: str) -> float | None:
    """Return when a JWT ends, in unix seconds; None if the token does not say so."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        text = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
        return msgspec.json.decode(text, type=_Claims).exp
    except (binascii.Error, msgspec.MsgspecError, ValueError):
        return None
