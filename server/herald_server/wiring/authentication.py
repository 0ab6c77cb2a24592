"""Build the authenticator from the settings, and run its background tasks."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from msgspec import structs

from herald_core.store.ports import Store
from herald_core.system.cancellation import run_in_background
from herald_server.auth.identity import DEFAULT_ENVIRONMENT, Identity, StaticTokens
from herald_server.auth.tokens.authenticator import Authenticator
from herald_server.auth.tokens.external_jwt import ExternalJwtVerifier
from herald_server.auth.tokens.issuer import TokenIssuer
from herald_server.auth.tokens.jwks import KeySet
from herald_server.auth.tokens.revocation import RevocationList
from herald_server.auth.tokens.static import OWNER, READER, read_tokens
from herald_server.wiring.settings import ServerSettings


def make_authenticator(
    settings: ServerSettings,
    store: Store,
    environment: str = DEFAULT_ENVIRONMENT,
    shared_tokens: Path | None = None,
) -> Authenticator:
    """Return the authenticator of an environment with `settings`.

    `shared_tokens` is the herald.toml of the server, whose tokens may name the
    environment. Raises `InvalidInput`.
    """
    secret = settings.signing_secret
    assert settings.token, "a server without a token would be open to everyone"
    assert secret
    hashes = _read_hashes(settings.catalog, environment)
    if shared_tokens is not None:
        hashes = {**read_tokens(shared_tokens), **hashes}
    chosen = {settings.token: Identity(OWNER, environments=None)}
    if settings.read_token:
        chosen[settings.read_token] = Identity(
            READER, frozenset({"read"}), environments=None
        )
    return Authenticator(
        StaticTokens(chosen, hashes),
        TokenIssuer(secret),
        _make_external_verifier(settings),
        RevocationList(store),
        environment,
    )


def _read_hashes(path: Path | None, environment: str) -> dict[bytes, Identity]:
    """Return the tokens of the herald.toml of an environment.

    Those of another one than the default are valid there only.
    """
    found = read_tokens(path) if path else {}
    if environment == DEFAULT_ENVIRONMENT:
        return found
    return {
        digest: structs.replace(who, environments=(environment,))
        for digest, who in found.items()
    }


def _make_external_verifier(settings: ServerSettings) -> ExternalJwtVerifier | None:
    if not settings.jwt_secret and not settings.jwt_jwks:
        return None
    keys = KeySet(settings.jwt_jwks) if settings.jwt_jwks else None
    return ExternalJwtVerifier(
        settings.jwt_secret,
        keys,
        settings.jwt_issuer,
        settings.jwt_audience,
        settings.jwt_claim,
    )


@asynccontextmanager
async def run_token_tasks(authenticator: Authenticator) -> AsyncGenerator[None]:
    """Load revoked tokens and the issuer's keys, and refresh both in the block.

    Raises `StoreError` if the revoked tokens cannot be read.
    """
    revoked = authenticator.revocations
    keys = authenticator.external.keys if authenticator.external else None
    if revoked is not None:
        await revoked.read()
    if keys is not None:
        await keys.fetch()
    work = [one.refresh_forever() for one in (revoked, keys) if one is not None]
    async with run_in_background(*work):
        yield
