"""The keyring that settings ask for, and its work in the background."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from herald_monitor.store import Store
from herald_server.auth import Identity, Tokens
from herald_server.config import ServerSettings
from herald_server.tokens.jwks import KeySet
from herald_server.tokens.keyring import Keyring
from herald_server.tokens.minting import Mint
from herald_server.tokens.outside import Outside
from herald_server.tokens.revoked import Revoked
from herald_server.tokens.static import OWNER, READER, read_tokens


def keyring_of(settings: ServerSettings, store: Store) -> Keyring:
    """Return all tokens that `settings` know. Raises `BadInput`."""
    secret = settings.signing_secret
    assert settings.token, "a server without a token would be an open door"
    assert secret
    hashes = read_tokens(settings.catalog) if settings.catalog else {}
    chosen = {settings.token: Identity(OWNER)}
    if settings.read_token:
        chosen[settings.read_token] = Identity(READER, frozenset({"read"}))
    return Keyring(
        Tokens(chosen, hashes),
        Mint(secret),
        _outside(settings),
        Revoked(store),
    )


def _outside(settings: ServerSettings) -> Outside | None:
    if not settings.jwt_secret and not settings.jwt_jwks:
        return None
    keys = KeySet(settings.jwt_jwks) if settings.jwt_jwks else None
    return Outside(
        settings.jwt_secret,
        keys,
        settings.jwt_issuer,
        settings.jwt_audience,
        settings.jwt_claim,
    )


@asynccontextmanager
async def kept(keyring: Keyring) -> AsyncGenerator[None]:
    """Know revoked tokens and the issuer's keys, and keep both fresh in the block.

    Raises `StoreError` if it cannot be had which tokens are revoked.
    """
    work: list[asyncio.Task[None]] = []
    if keyring.revoked is not None:
        await keyring.revoked.read()
        work.append(asyncio.create_task(keyring.revoked.keep()))
    if keyring.outside is not None and keyring.outside.keys is not None:
        await keyring.outside.keys.fetch()
        work.append(asyncio.create_task(keyring.outside.keys.keep()))
    try:
        yield
    finally:
        for task in work:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)
