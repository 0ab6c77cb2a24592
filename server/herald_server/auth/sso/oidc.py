"""A provider of OpenID Connect (Core 1.0): the authorization code flow with PKCE.

Signatures are verified by PyJWT, with the keys of `auth/tokens/jwks.py`: RS256, ES256
and EdDSA. Authlib's clients need another HTTP client than the one that Herald has.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import secrets
import time
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import urlencode, urlsplit

import httpx2
import jwt
import msgspec

from herald_core.errors import HeraldError
from herald_server.auth.identity import LOOPBACK
from herald_server.auth.sso.cookies import LoginState
from herald_server.auth.sso.mapping import Person, read_person
from herald_server.auth.sso.settings import OidcSettings
from herald_server.auth.tokens.external_jwt import KEY_ALGORITHMS
from herald_server.auth.tokens.jwks import KeySet, UnknownKey

log = logging.getLogger(__name__)

METADATA_TTL_S = 3_600.0
TIMEOUT_S = 10.0
MAX_BYTES = 1 << 20
LEEWAY_S = 10.0
"""Seconds by which the clocks of the provider and of this server may differ."""

LOGIN_TTL_S = 600.0
"""Seconds within which a person must have signed in at the provider."""


class LoginFailed(HeraldError):
    """A person could not be signed in, with the reason."""


class ProviderUnavailable(HeraldError):
    """The provider did not answer as it must."""


class ProviderMetadata(msgspec.Struct, frozen=True):
    """What is used of the provider's metadata (OpenID Connect Discovery 1.0 §3)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str = ""
    end_session_endpoint: str = ""
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)


class ProviderTokens(msgspec.Struct, frozen=True):
    """The answer of a token endpoint."""

    id_token: str = ""
    access_token: str = ""
    refresh_token: str = ""


class OidcProvider:
    """The provider of `settings`; nothing is asked of it before somebody signs in."""

    def __init__(self, settings: OidcSettings) -> None:
        self.settings = settings
        self._metadata: ProviderMetadata | None = None
        self._read_at = float("-inf")
        self._keys: KeySet | None = None

    async def make_login(self, redirect: str) -> tuple[str, LoginState]:
        """Return the URL at which a person signs in, and the state of that login.

        Raises `ProviderUnavailable`.
        """
        metadata = await self.read_metadata()
        login = LoginState(
            secrets.token_urlsafe(24),
            secrets.token_urlsafe(24),
            secrets.token_urlsafe(48),
            redirect,
            time.time() + LOGIN_TTL_S,
        )
        query = {
            "response_type": "code",
            "client_id": self.settings.client_id,
            "redirect_uri": redirect,
            "scope": " ".join(self.settings.scopes),
            "state": login.state,
            "nonce": login.nonce,
            "code_challenge": make_challenge(login.verifier),
            "code_challenge_method": "S256",
        }
        mark = "&" if urlsplit(metadata.authorization_endpoint).query else "?"
        return f"{metadata.authorization_endpoint}{mark}{urlencode(query)}", login

    async def finish_login(
        self, login: LoginState, answer: Mapping[str, str]
    ) -> tuple[dict[str, Any], str]:
        """Return the claims of a person, and the refresh token (empty for none).

        `answer` is the query with which the provider redirected. Raises `LoginFailed`,
        `ProviderUnavailable`.
        """
        self._check_answer(login, answer)
        tokens = await self._request_tokens(
            {
                "grant_type": "authorization_code",
                "code": answer["code"],
                "redirect_uri": login.redirect,
                "code_verifier": login.verifier,
            }
        )
        claims = await self._verify(tokens.id_token)
        if not hmac.compare_digest(str(claims.get("nonce", "")), login.nonce):
            raise LoginFailed("the answer of the provider is of another login")
        return await self._add_userinfo(claims, tokens), tokens.refresh_token

    async def refresh(self, token: str) -> tuple[dict[str, Any], str]:
        """Return the claims as they are now, and the next refresh token. Raises the
        same."""
        tokens = await self._request_tokens(
            {"grant_type": "refresh_token", "refresh_token": token}
        )
        return await self._read_claims(tokens), tokens.refresh_token or token

    async def identify(self, told: Mapping[str, object]) -> Person:
        """Return whom the tokens of this provider are about.

        `told` is what its token endpoint answered to a code or a refresh token. Raises
        the same.
        """
        return self.read_person(await self._read_claims(_parse_tokens(told)))

    def read_person(self, claims: Mapping[str, Any]) -> Person:
        """Return whom `claims` are about. Raises `LoginFailed`."""
        person = read_person(claims, self.settings)
        if person is None:
            name = self.settings.name_claim
            raise LoginFailed(f"the provider says no {name} of you")
        return person

    async def _read_claims(self, tokens: ProviderTokens) -> dict[str, Any]:
        claims = await self._verify(tokens.id_token) if tokens.id_token else {}
        return await self._add_userinfo(claims, tokens)

    async def make_logout_url(self, back_to: str) -> str:
        """Return where the session at the provider ends; empty if nowhere."""
        metadata = await self.read_metadata()
        if not metadata.end_session_endpoint:
            return ""
        query = {
            "client_id": self.settings.client_id,
            "post_logout_redirect_uri": back_to,
        }
        return f"{metadata.end_session_endpoint}?{urlencode(query)}"

    def _check_answer(self, login: LoginState, answer: Mapping[str, str]) -> None:
        if not hmac.compare_digest(answer.get("state", ""), login.state):
            raise LoginFailed("this login was not begun in this browser; try again")
        if login.until <= time.time():
            raise LoginFailed("this login took too long; try again")
        # RFC 9207: an answer of another provider is not sent to this one.
        if answer.get("iss", self.settings.issuer) != self.settings.issuer:
            raise LoginFailed("the answer is of another provider")
        if "code" not in answer:
            error = answer.get("error", "no code")[:60]
            raise LoginFailed(f"the provider did not sign you in ({error}); try again")

    async def _verify(self, token: str) -> dict[str, Any]:
        try:
            header = jwt.get_unverified_header(token)
        except jwt.InvalidTokenError:
            raise LoginFailed("the provider sent no valid ID token") from None
        algorithm = str(header.get("alg"))
        if algorithm not in KEY_ALGORITHMS:
            raise LoginFailed(
                f"the ID token is signed by {algorithm[:20]}; set the provider to one"
                f" of {', '.join(KEY_ALGORITHMS)}"
            )
        key = await self._find_key(cast("str | None", header.get("kid")), algorithm)
        return self._decode(token, key, algorithm)

    def _decode(self, token: str, key: Any, algorithm: str) -> dict[str, Any]:
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                audience=self.settings.client_id,
                issuer=self.settings.issuer,
                leeway=LEEWAY_S,
                options={"require": ["exp", "iat", "sub", "aud", "iss"]},
            )
        except jwt.InvalidTokenError as error:
            raise LoginFailed(f"the ID token is not valid: {error}") from None
        # OpenID Connect Core §3.1.3.7: it was made for this client.
        if claims.get("azp", self.settings.client_id) != self.settings.client_id:
            raise LoginFailed("the ID token is of another client")
        return claims

    async def _find_key(self, id_: str | None, algorithm: str) -> Any:
        metadata = await self.read_metadata()
        if self._keys is None:
            self._keys = KeySet(metadata.jwks_uri)
        try:
            return self._keys.find_key(id_, algorithm)
        except UnknownKey:
            await self._keys.fetch_for_unknown()
        try:
            return self._keys.find_key(id_, algorithm)
        except UnknownKey:
            raise LoginFailed("the ID token is signed by an unknown key") from None

    async def _add_userinfo(
        self, claims: dict[str, Any], tokens: ProviderTokens
    ) -> dict[str, Any]:
        """Return the claims, those of the userinfo endpoint as well if some are
        missing."""
        metadata = await self.read_metadata()
        wanted = {self.settings.groups_claim, self.settings.name_claim, "sub"}
        if wanted <= claims.keys() or not metadata.userinfo_endpoint:
            return claims
        headers = {"Authorization": f"Bearer {tokens.access_token}"}
        more = await self._request("GET", metadata.userinfo_endpoint, headers=headers)
        # §5.3.2: it may be about somebody else.
        if more.get("sub") != claims.get("sub", more.get("sub")):
            raise LoginFailed("the provider answered about somebody else")
        return {**more, **claims}

    async def _request_tokens(self, fields: dict[str, str]) -> ProviderTokens:
        metadata, settings = await self.read_metadata(), self.settings
        methods = metadata.token_endpoint_auth_methods_supported
        data, auth = {**fields, "client_id": settings.client_id}, None
        if settings.client_secret and "client_secret_basic" in methods:
            auth = settings.client_id, settings.client_secret
        elif settings.client_secret:
            data["client_secret"] = settings.client_secret
        told = await self._request(
            "POST", metadata.token_endpoint, data=data, auth=auth
        )
        return _parse_tokens(told)

    async def read_metadata(self) -> ProviderMetadata:
        """Return the metadata, at most an hour old. Raises `LoginFailed`,
        `ProviderUnavailable`."""
        now = time.monotonic()
        if self._metadata is None or now - self._read_at > METADATA_TTL_S:
            self._metadata = await self._fetch_metadata()
            self._read_at = now
        return self._metadata

    async def _fetch_metadata(self) -> ProviderMetadata:
        issuer = self.settings.issuer
        url = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
        try:
            found = msgspec.convert(await self._request("GET", url), ProviderMetadata)
        except msgspec.ValidationError as error:
            raise ProviderUnavailable(f"{url} is no metadata: {error}") from None
        if found.issuer != issuer:
            raise ProviderUnavailable(
                f"{url} is of the issuer {found.issuer[:200]}; set issuer to it"
            )
        for place in (found.token_endpoint, found.jwks_uri):
            parts = urlsplit(place)
            if parts.scheme != "https" and parts.hostname not in LOOPBACK:
                raise ProviderUnavailable(f"{place[:200]} must be https")
        return found

    async def _request(self, method: str, url: str, **given: Any) -> dict[str, Any]:
        try:
            # Redirects are not followed: one could lead to plain HTTP.
            async with httpx2.AsyncClient(timeout=TIMEOUT_S) as client:
                answer = await client.request(method, url, **given)
            if len(answer.content) > MAX_BYTES:
                raise ProviderUnavailable(f"{url[:200]} answered too much")
            told = answer.json()
        except (httpx2.HTTPError, ValueError) as error:
            log.warning("the provider of single sign-on: %s: %r", url, error)
            raise ProviderUnavailable(
                f"the provider at {urlsplit(url).netloc} did not answer; try again"
            ) from None
        if answer.is_error or not isinstance(told, dict):
            code = f"HTTP {answer.status_code} {_get_error(told)}".rstrip()
            raise LoginFailed(f"the provider refused: {code}")
        return cast("dict[str, Any]", told)


def _parse_tokens(told: object) -> ProviderTokens:
    try:
        return msgspec.convert(told, ProviderTokens)
    except msgspec.ValidationError:
        raise ProviderUnavailable("the provider sent no tokens") from None


def make_challenge(verifier: str) -> str:
    """Return the S256 challenge of a verifier (RFC 7636 §4.2)."""
    digest = hashlib.sha256(verifier.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _get_error(told: object) -> str:
    """Return the error code of an answer (RFC 6749 §5.2); empty for none."""
    fields = cast("dict[str, object]", told) if isinstance(told, dict) else {}
    return str(fields.get("error", ""))[:60]
