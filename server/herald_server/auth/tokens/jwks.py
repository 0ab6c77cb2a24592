"""A JSON Web Key Set (RFC 7517) from a file or URL, refreshed periodically.

PyJWT parses the set, but its `PyJWKClient` does not fetch it: that client reads no
files, limits neither the size of a response nor its time as a whole, and while the
issuer is down it drops the keys that it knew and asks again for each unknown one.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from pathlib import Path
from typing import Any

import httpx2
import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from herald_core.errors import InvalidInput
from herald_server.auth.tokens.claims import BadToken

log = logging.getLogger(__name__)

TTL_S = 600.0
"""Seconds after which keys are fetched again."""

MIN_FETCH_INTERVAL_S = 10.0
"""Minimum seconds between two fetches for an unknown key."""

TIMEOUT_S = 5.0
MAX_BYTES = 1 << 20
MIN_RSA_BITS = 2_048
P256 = "secp256r1"
URL_SCHEMES = ("https://", "http://")


class UnknownKey(BadToken):
    """A token is signed by a key that is not in the set, or not yet."""


class KeySet:
    """The public keys at `place`: a path or a URL."""

    def __init__(self, place: str) -> None:
        self._source = place
        self._keys: list[jwt.PyJWK] = []
        self._asked_at = float("-inf")
        self._lock = asyncio.Lock()

    def find_key(self, id_: str | None, algorithm: str) -> Any:
        """Return the key `id_` of `algorithm`; without an id, the only one.

        Raises `UnknownKey`.
        """
        found = [key for key in self._keys if key.algorithm_name == algorithm]
        if id_ is not None or len(found) > 1:
            found = [key for key in found if key.key_id == id_]
        if not found:
            raise UnknownKey("the token is signed by a key that is not known here")
        return found[-1].key

    async def fetch(self) -> None:
        """Load the keys; on failure the previous ones stay."""
        self._asked_at = time.monotonic()
        try:
            self._keys = parse_keys(await _read_source(self._source))
        except (
            OSError,
            ValueError,
            InvalidInput,
            ImportError,
            httpx2.HTTPError,
        ) as error:
            why = str(error) or type(error).__name__
            log.warning("the key set %s cannot be read: %s", self._source, why)

    async def fetch_for_unknown(self) -> bool:
        """Fetch because a key is missing; return True if that was done.

        At most once in `MIN_FETCH_INTERVAL_S` seconds.
        """
        before = self._asked_at
        async with self._lock:
            if self._asked_at > before:
                return True
            if time.monotonic() - self._asked_at < MIN_FETCH_INTERVAL_S:
                return False
            await self.fetch()
            return True

    async def refresh_forever(self) -> None:
        """Refresh the keys until cancelled."""
        while True:
            await asyncio.sleep(TTL_S)
            await self.fetch()


async def _read_source(place: str) -> str:
    if not place.startswith(URL_SCHEMES):
        return await asyncio.to_thread(Path(place).read_text, encoding="utf-8")
    # On a thread: the certificates of a system take 30 ms.
    tls = await asyncio.to_thread(ssl.create_default_context)
    async with (
        asyncio.timeout(TIMEOUT_S),
        httpx2.AsyncClient(verify=tls, timeout=None) as http,
        http.stream("GET", place) as answer,
    ):
        if answer.has_redirect_location:
            # A redirect could lead to plain HTTP, where keys can be replaced.
            raise InvalidInput(
                f"it redirects to {answer.headers['location'][:200]}; name the address "
                "of the keys themselves in HERALD_JWT_JWKS"
            )
        answer.raise_for_status()
        body = b""
        async for part in answer.aiter_bytes():
            body += part
            if len(body) > MAX_BYTES:
                raise InvalidInput(f"it is larger than {MAX_BYTES} bytes")
        return body.decode()


def parse_keys(text: str) -> list[jwt.PyJWK]:
    """Return the keys in a set that verify signatures. Raises `InvalidInput`."""
    try:
        listed = jwt.PyJWKSet.from_json(text).keys
    except (ValueError, AttributeError, RecursionError, jwt.PyJWTError) as error:
        raise InvalidInput(f"it is no JSON Web Key Set ({error})") from None
    usable = [key for key in listed if _can_verify(key)]
    if not usable:
        raise InvalidInput(
            "it has no key for signatures: RSA of 2048 bits or more, ES256 or Ed25519"
        )
    return usable


def _can_verify(key: jwt.PyJWK) -> bool:
    if key.public_key_use not in (None, "sig"):
        return False
    if key.algorithm_name == "RS256":
        return bool(key.key.key_size >= MIN_RSA_BITS)
    if key.algorithm_name == "EdDSA":
        return isinstance(key.key, Ed25519PublicKey)
    # A secret key (`oct`) that is published is not secret.
    return key.algorithm_name == "ES256" and key.key.curve.name == P256
