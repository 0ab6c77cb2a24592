"""A provider of OpenID Connect (Core 1.0): the authorization code flow with PKCE."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

from herald_server.auth.sso.cookies import LoginState
from herald_server.auth.sso.id_token import IdTokenVerifier
from herald_server.auth.sso.mapping import Person, read_person
from herald_server.auth.sso.provider_endpoints import (
    LoginFailed,
    ProviderEndpoints,
    ProviderMetadata,
    ProviderTokens,
    parse_tokens,
)
from herald_server.auth.sso.settings import OidcSettings

LOGIN_TTL_S = 600.0
"""Seconds within which a person must have signed in at the provider."""


class OidcProvider:
    """The provider of `settings`; nothing is asked of it before somebody signs in.

    `endpoints` are its own, and `id_tokens` verifies what it signs, unless given.
    """

    def __init__(
        self,
        settings: OidcSettings,
        endpoints: ProviderEndpoints | None = None,
        id_tokens: IdTokenVerifier | None = None,
    ) -> None:
        self.settings = settings
        self._endpoints = endpoints or ProviderEndpoints(settings)
        self._id_tokens = id_tokens or IdTokenVerifier(settings, self._endpoints)

    async def read_metadata(self) -> ProviderMetadata:
        """Return the metadata, at most an hour old. Raises `LoginFailed`,
        `ProviderUnavailable`."""
        return await self._endpoints.read_metadata()

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
        tokens = await self._endpoints.request_tokens(
            {
                "grant_type": "authorization_code",
                "code": answer["code"],
                "redirect_uri": login.redirect,
                "code_verifier": login.verifier,
            }
        )
        claims = await self._id_tokens.verify(tokens.id_token)
        if not hmac.compare_digest(str(claims.get("nonce", "")), login.nonce):
            raise LoginFailed("the answer of the provider is of another login")
        return await self._add_userinfo(claims, tokens), tokens.refresh_token

    async def refresh(self, token: str) -> tuple[dict[str, Any], str]:
        """Return the claims as they are now, and the next refresh token. Raises the
        same."""
        tokens = await self._endpoints.request_tokens(
            {"grant_type": "refresh_token", "refresh_token": token}
        )
        return await self._read_claims(tokens), tokens.refresh_token or token

    async def identify(self, told: Mapping[str, object]) -> Person:
        """Return whom the tokens of this provider are about.

        `told` is what its token endpoint answered to a code or a refresh token. Raises
        the same.
        """
        return self.read_person(await self._read_claims(parse_tokens(told)))

    def read_person(self, claims: Mapping[str, Any]) -> Person:
        """Return whom `claims` are about. Raises `LoginFailed`."""
        person = read_person(claims, self.settings)
        if person is None:
            name = self.settings.name_claim
            raise LoginFailed(f"the provider says no {name} of you")
        return person

    async def _read_claims(self, tokens: ProviderTokens) -> dict[str, Any]:
        claims = (
            await self._id_tokens.verify(tokens.id_token) if tokens.id_token else {}
        )
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

    async def _add_userinfo(
        self, claims: dict[str, Any], tokens: ProviderTokens
    ) -> dict[str, Any]:
        """Return the claims, those of the userinfo endpoint as well if some are
        missing."""
        wanted = {self.settings.groups_claim, self.settings.name_claim, "sub"}
        if wanted <= claims.keys():
            return claims
        more = await self._endpoints.request_userinfo(tokens.access_token)
        # §5.3.2: it may be about somebody else.
        if more and more.get("sub") != claims.get("sub", more.get("sub")):
            raise LoginFailed("the provider answered about somebody else")
        return {**more, **claims}


def make_challenge(verifier: str) -> str:
    """Return the S256 challenge of a verifier (RFC 7636 §4.2)."""
    digest = hashlib.sha256(verifier.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
