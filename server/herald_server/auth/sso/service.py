"""Sessions of people who sign in: begin, refresh, end."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import msgspec

from herald_core.store.key_value import KeyValueStore
from herald_server.auth.identity import DEFAULT_ENVIRONMENT, Identity
from herald_server.auth.sso.ambient import AmbientCredentials
from herald_server.auth.sso.cookies import LOGIN, LoginState, SsoCipher
from herald_server.auth.sso.mapping import NAME_PREFIX, make_identity
from herald_server.auth.sso.oidc import OidcProvider
from herald_server.auth.sso.provider_endpoints import LoginFailed
from herald_server.auth.sso.settings import SsoSettings
from herald_server.auth.tokens.issuer import TokenIssuer
from herald_server.auth.tokens.revocation import RevocationList

SESSION_KIND = "sso-sessions"
REFRESH_TTL_S = 30 * 86_400.0
"""Seconds for which a refresh token is stored after it was last used."""

NO_REFRESH_MESSAGE = "this session cannot be renewed; sign in again"


class SsoSession(msgspec.Struct, frozen=True):
    """A session: its token, which the cookie holds, and whose it is."""

    token: str
    who: Identity

    @property
    def seconds(self) -> float:
        """How long it lives."""
        return max((self.who.expires or 0.0) - time.time(), 0.0)


class SsoService:
    """Signs people in to an environment. `secret` is the one that signs tokens."""

    def __init__(
        self,
        settings: SsoSettings,
        issuer: TokenIssuer,
        secret: str,
        store: KeyValueStore,
        revocations: RevocationList,
        environment: str = DEFAULT_ENVIRONMENT,
    ) -> None:
        self.settings = settings
        self._environment = environment
        self.ambient = AmbientCredentials(settings, issuer, revocations, environment)
        self._provider = OidcProvider(settings.oidc) if settings.oidc else None
        self._issuer = issuer
        self._cipher = SsoCipher(secret)
        self._store = store
        self._revocations = revocations

    def list_methods(self) -> list[str]:
        """Return how people can sign in with a browser."""
        found = ["oidc"] if self._provider is not None else []
        return found + (["password"] if self.settings.users else [])

    async def begin_login(self, redirect: str) -> tuple[str, str]:
        """Return the URL of the provider, and the value of the login's cookie.

        Raises `LoginFailed`, `ProviderUnavailable`.
        """
        url, login = await self._require_provider().make_login(redirect)
        return url, self._cipher.encrypt(msgspec.json.encode(login), LOGIN)

    async def finish_login(
        self, cookie: str | None, answer: Mapping[str, str]
    ) -> SsoSession:
        """Return the session of a person whom the provider sent back.

        Raises `LoginFailed`, `ProviderUnavailable`, `NoGroup`, `StoreError`.
        """
        sealed = self._cipher.decrypt(cookie or "", LOGIN)
        if sealed is None:
            raise LoginFailed("this login was not begun in this browser; try again")
        login = msgspec.json.decode(sealed, type=LoginState)
        claims, refresh = await self._require_provider().finish_login(login, answer)
        session = self._make_session(claims)
        if refresh:
            await self._put_refresh(session.who.id, refresh)
        return session

    async def refresh(self, who: Identity) -> SsoSession:
        """Return the next session of a person, with the groups as they are now.

        Raises `LoginFailed`, `ProviderUnavailable`, `NoGroup`, `StoreError`.
        """
        stored = await self._store.get_item(SESSION_KIND, who.id)
        token = stored and self._cipher.decrypt(stored.decode(), who.id)
        if not token:
            raise LoginFailed(NO_REFRESH_MESSAGE)
        claims, refresh = await self._require_provider().refresh(token.decode())
        session = self._make_session(claims, who.id)
        if session.who.name != who.name:
            raise LoginFailed("the provider answered about somebody else")
        await self._put_refresh(who.id, refresh)
        return session

    async def end(self, who: Identity, back_to: str) -> str:
        """End a session, and return where that at the provider ends; empty: nowhere.

        Raises `StoreError`.
        """
        await self._store.delete_item(SESSION_KIND, who.id)
        await self._revocations.add(who.id, max(self.settings.session, 60.0) * 2)
        if self._provider is None:
            return ""
        try:
            return await self._provider.make_logout_url(back_to)
        except Exception:  # whatever the provider is like: the session has ended here
            return ""

    def is_session(self, who: Identity) -> bool:
        """Return True if somebody signed in, rather than gave a token."""
        return who.name.startswith(NAME_PREFIX) and "/" not in who.name

    def _make_session(self, claims: Mapping[str, Any], id_: str = "") -> SsoSession:
        person = self._require_provider().read_person(claims)
        who = make_identity(
            person.name,
            person.groups,
            self.settings.groups,
            time.time() + self.settings.session,
            environment=self._environment,
        )
        if id_:
            # One id for all of a session: whoever ends it ends all of its tokens.
            who = msgspec.structs.replace(who, id=id_)
        return SsoSession(self._issuer.sign(who), who)

    async def _put_refresh(self, id_: str, token: str) -> None:
        sealed = self._cipher.encrypt(token.encode(), id_)
        await self._store.put_item(SESSION_KIND, id_, sealed.encode(), REFRESH_TTL_S)

    def _require_provider(self) -> OidcProvider:
        if self._provider is None:
            raise LoginFailed("no provider of OpenID Connect is set up here")
        return self._provider
