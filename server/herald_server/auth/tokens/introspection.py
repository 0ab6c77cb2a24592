"""Ask the issuer whether a token is active (RFC 7662): for tokens that are no JWTs.

Answers are used again for `CACHE_TTL_S` seconds, so a token that the issuer revoked is
refused after that time. Tokens are kept as hashes only.
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections import OrderedDict
from typing import Any, cast

import httpx2
import msgspec

from herald_server.auth.tokens.claims import BadToken

CACHE_TTL_S = 30.0
MAX_CACHED = 4_096
MAX_CONCURRENT = 16
"""Questions to the issuer at once: any text may be sent as a token."""

TIMEOUT_S = 5.0
MAX_BYTES = 1 << 16

UNAVAILABLE_MESSAGE = (
    "the issuer of tokens does not answer, so this token cannot be checked; try again "
    "later"
)


class IssuerUnavailable(BadToken):
    """A token that cannot be checked now."""

    def __init__(self) -> None:
        super().__init__(UNAVAILABLE_MESSAGE)


class Introspector:
    """Asks the endpoint at `url` as the client `client_id`."""

    def __init__(self, url: str, client_id: str, client_secret: str) -> None:
        self._url = url
        self._auth = httpx2.BasicAuth(client_id, client_secret)
        self._known: OrderedDict[bytes, tuple[float, dict[str, Any]]] = OrderedDict()
        self._slots = asyncio.Semaphore(MAX_CONCURRENT)
        self._tls: ssl.SSLContext | None = None

    async def read_claims(self, token: str, now: float) -> dict[str, Any]:
        """Return the claims of `token`, with `active`; `now` is in monotonic seconds.

        Raises `IssuerUnavailable`.
        """
        key = hashlib.sha256(token.encode()).digest()
        until, claims = self._known.get(key, (now, {}))
        if until <= now:
            claims = await self._ask(token)
            self._keep(key, now + CACHE_TTL_S, claims)
        return claims

    def _keep(self, key: bytes, until: float, claims: dict[str, Any]) -> None:
        self._known[key] = until, claims
        self._known.move_to_end(key)
        while len(self._known) > MAX_CACHED:
            self._known.popitem(last=False)

    async def _ask(self, token: str) -> dict[str, Any]:
        try:
            async with asyncio.timeout(TIMEOUT_S), self._slots:
                body = await self._post(token)
            found: object = msgspec.json.decode(body)
        except (OSError, ValueError, httpx2.HTTPError):
            raise IssuerUnavailable from None
        if not isinstance(found, dict):
            raise IssuerUnavailable
        return cast("dict[str, Any]", found)

    async def _post(self, token: str) -> bytes:
        if self._tls is None:
            # On a thread: the certificates of a system take 30 ms.
            self._tls = await asyncio.to_thread(ssl.create_default_context)
        form = {"token": token, "token_type_hint": "access_token"}
        async with (
            httpx2.AsyncClient(verify=self._tls, timeout=None, auth=self._auth) as http,
            http.stream("POST", self._url, data=form) as answer,
        ):
            if answer.status_code != 200:
                raise IssuerUnavailable
            body = b""
            async for part in answer.aiter_bytes():
                body += part
                if len(body) > MAX_BYTES:
                    raise IssuerUnavailable
            return body
