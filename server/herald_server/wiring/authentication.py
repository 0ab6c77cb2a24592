"""Build the authenticator from the settings, and run its background tasks."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from msgspec import structs

from herald_core.errors import InvalidInput
from herald_core.store.ports import Store
from herald_core.system.cancellation import run_in_background
from herald_server.auth.identity import DEFAULT_ENVIRONMENT, Identity, StaticTokens
from herald_server.auth.sso.service import SsoService
from herald_server.auth.sso.settings import SsoSettings, read_sso_settings
from herald_server.auth.tokens.authenticator import Authenticator
from herald_server.auth.tokens.external_jwt import ExternalJwtVerifier
from herald_server.auth.tokens.introspection import Introspector
from herald_server.auth.tokens.issuer import TokenIssuer
from herald_server.auth.tokens.jwks import URL_SCHEMES, KeySet
from herald_server.auth.tokens.protected_resource import ProtectedResource
from herald_server.auth.tokens.revocation import RevocationList
from herald_server.auth.tokens.static import OWNER, READER, read_tokens
from herald_server.insight.environments import PATH_PREFIX
from herald_server.wiring.oauth_proxy import make_proxied_resource, make_proxied_tokens
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
    proxied = make_proxied_tokens(settings, environment)
    return Authenticator(
        StaticTokens(chosen, hashes),
        TokenIssuer(secret),
        _make_external_verifier(settings, environment),
        RevocationList(store),
        environment,
        make_proxied_resource(proxied, settings)
        if proxied
        else make_resource(settings, environment),
        proxied,
    )


def make_sso_service(
    settings: ServerSettings,
    store: Store,
    authenticator: Authenticator,
    shared_groups: Path | None = None,
) -> SsoService | None:
    """Return what signs people in to the environment of `authenticator`; None if that
    has no `[sso]`.

    `shared_groups` is the herald.toml of the server, whose groups may name the
    environment. Raises `InvalidInput`.
    """
    environment = authenticator.environment
    found = _read_sso_settings(settings.catalog, shared_groups, environment)
    if not found.is_used:
        return None
    secret = settings.signing_secret
    assert secret
    assert authenticator.issuer is not None
    assert authenticator.revocations is not None
    if found.proxy and not settings.proxy_headers:
        raise InvalidInput(
            "[sso] proxy = true needs HERALD_PROXY_HEADERS, the addresses of the proxy"
        )
    return SsoService(
        found,
        authenticator.issuer,
        secret,
        store,
        authenticator.revocations,
        environment,
    )


def _read_sso_settings(
    own: Path | None, shared: Path | None, environment: str
) -> SsoSettings:
    """Return the table `[sso]` of an environment, or what the server's has for it."""
    found = read_sso_settings(own)
    if environment == DEFAULT_ENVIRONMENT:
        return found.keep_groups(environment)
    return (
        found if found.is_used else read_sso_settings(shared).keep_groups(environment)
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


def _make_external_verifier(
    settings: ServerSettings, environment: str
) -> ExternalJwtVerifier | None:
    asks = settings.introspection_url
    if not (settings.jwt_secret or settings.jwt_jwks or asks):
        return None
    return ExternalJwtVerifier(
        settings.jwt_secret,
        KeySet(settings.jwt_jwks) if settings.jwt_jwks else None,
        settings.jwt_issuer,
        _list_audiences(settings, environment),
        settings.jwt_claim,
        _make_introspector(settings) if asks else None,
    )


def _list_audiences(settings: ServerSettings, environment: str) -> list[str]:
    given = [settings.jwt_audience] if settings.jwt_audience else []
    if not given and not (settings.jwt_jwks or settings.introspection_url):
        return []  # a shared secret is known to nobody else
    resource = ProtectedResource("", (), make_public_url(settings, environment))
    return given + resource.list_audiences()


def _make_introspector(settings: ServerSettings) -> Introspector:
    return Introspector(
        settings.introspection_url or "",
        settings.introspection_client_id or "",
        settings.introspection_client_secret or "",
    )


def make_resource(
    settings: ServerSettings, environment: str = DEFAULT_ENVIRONMENT
) -> ProtectedResource | None:
    """Return what clients may learn of the issuer; None if it is no URL, or if its
    tokens are not accepted."""
    issuer = settings.jwt_issuer or ""
    if not issuer.startswith(URL_SCHEMES):
        return None
    if not (settings.jwt_secret or settings.jwt_jwks or settings.introspection_url):
        return None
    public_url = make_public_url(settings, environment)
    return ProtectedResource(issuer, settings.oauth_scopes, public_url)


def make_public_url(settings: ServerSettings, environment: str) -> str:
    """Return the address by which clients reach an environment; empty if unknown."""
    if not settings.public_url or environment == DEFAULT_ENVIRONMENT:
        return settings.public_url or ""
    return f"{settings.public_url}/{PATH_PREFIX}/{environment}"


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
