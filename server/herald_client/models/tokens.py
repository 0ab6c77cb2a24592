"""What the server answers about tokens."""

from __future__ import annotations

from typing import Any

import msgspec


class MintedToken(msgspec.Struct, omit_defaults=True):
    """A minted token; without `token` where it is listed. Times are RFC 3339."""

    id: str
    name: str
    scopes: list[str]
    expires_at: str
    minted_at: str = ""
    only: list[dict[str, Any]] = []
    by: list[str] = []
    token: str = ""


class TokenList(msgspec.Struct):
    """The minted tokens that are valid."""

    tokens: list[MintedToken]


class RevokedToken(msgspec.Struct):
    """A token that was revoked."""

    id: str
