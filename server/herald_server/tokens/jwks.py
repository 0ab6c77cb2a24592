"""A JSON Web Key Set (RFC 7517), from a file or an address, and fetched anew."""

from __future__ import annotations

import asyncio
import json
import logging
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, cast

import jwt

from herald_monitor.errors import BadInput
from herald_server.tokens.claims import BadToken

log = logging.getLogger(__name__)

FRESH = 600.0
"""Seconds after which keys are fetched again."""

PAUSE = 10.0
"""Seconds between two fetches for a key that nobody knows."""

WITHIN = 5.0
MOST_BYTES = 1 << 20
LEAST_BITS = 2_048
ADDRESS = ("https://", "http://")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows none: keys come from the address that was configured, or not at all.

    A redirect could lead to plain http, where whoever is on the way puts in keys.
    """

    def redirect_request(
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> None:
        raise urllib.error.HTTPError(
            req.full_url,
            code,
            f"it redirects to {newurl[:200]}; name the address of the keys themselves "
            "in HERALD_JWT_JWKS",
            headers,
            fp,
        )


_OPENER = urllib.request.build_opener(_NoRedirect)


class UnknownKey(BadToken):
    """A token is signed by a key that is not in the set, or not yet."""


class KeySet:
    """The RSA keys at `place`: a path, or an address."""

    def __init__(self, place: str) -> None:
        self._place = place
        self._keys: dict[str | None, Any] = {}
        self._asked_at = float("-inf")
        self._lock = asyncio.Lock()

    def key(self, id_: str | None) -> Any:
        """Return the public key `id_`; without an id, the only one there is.

        Raises `UnknownKey`.
        """
        if id_ is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        if id_ not in self._keys:
            raise UnknownKey("the token is signed by a key that is not known here")
        return self._keys[id_]

    async def fetch(self) -> None:
        """Read the keys; those known so far stay if that fails."""
        self._asked_at = time.monotonic()
        try:
            text = await asyncio.to_thread(_read, self._place)
            self._keys = keys_of(text)
        except (OSError, ValueError, BadInput) as error:
            log.warning("the key set %s cannot be read: %s", self._place, error)

    async def fetch_for_unknown(self) -> bool:
        """Fetch anew because a key is missing; say whether that was done.

        At most once in `PAUSE` seconds, whoever asks.
        """
        before = self._asked_at
        async with self._lock:
            if self._asked_at > before:
                return True
            if time.monotonic() - self._asked_at < PAUSE:
                return False
            await self.fetch()
            return True

    async def keep(self) -> None:
        """Keep the keys fresh until cancelled."""
        while True:
            await asyncio.sleep(FRESH)
            await self.fetch()


def _read(place: str) -> str:
    if not place.startswith(ADDRESS):
        return Path(place).read_text(encoding="utf-8")
    with _OPENER.open(place, timeout=WITHIN) as answer:
        return str(answer.read(MOST_BYTES).decode())


def keys_of(text: str) -> dict[str | None, Any]:
    """Return the RSA signing keys in a set, by id. Raises `BadInput`."""
    try:
        listed = cast("dict[str, Any]", json.loads(text))["keys"]
        found = {
            one.get("kid"): jwt.PyJWK(one, "RS256").key
            for one in cast("list[dict[str, Any]]", listed)
            if _signs(one)
        }
    except (ValueError, KeyError, TypeError, AttributeError, jwt.PyJWTError) as error:
        raise BadInput(f"it is no JSON Web Key Set ({error})") from None
    usable = {id_: key for id_, key in found.items() if key.key_size >= LEAST_BITS}
    if not usable:
        raise BadInput("it has no RSA key of 2048 bits or more for signatures")
    return usable


def _signs(key: dict[str, Any]) -> bool:
    # A secret (`oct`) in a public place is none, and RS256 takes no other kind.
    return (
        key.get("kty") == "RSA"
        and key.get("use") in (None, "sig")
        and key.get("alg") in (None, "RS256")
    )
