"""The secret that signatures rest on: how strong it must be, and the keys made of it.

Whoever holds a minted token can try secrets against its signature, on as many machines
as they like. So each try is made slow (scrypt, RFC 7914), and a secret that is easy to
guess is refused where others can reach the server.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
from functools import lru_cache
from ipaddress import ip_address

from herald_monitor.errors import BadInput
from herald_server.config import ServerSettings

log = logging.getLogger(__name__)

LEAST_LENGTH = 16
LEAST_DIFFERENT = 8
"""Characters of a secret, and different ones among them."""

SALT = b"herald: secret of signatures, 1"
"""The same everywhere: all servers of one secret must come to the same keys."""

COST, BLOCK, PARALLEL = 1 << 15, 8, 3
"""scrypt's N, r and p: 32 MiB, and a third of a second of one core. One of the settings
that OWASP's Password Storage Cheat Sheet takes for equal to the strongest it names."""

MOST_MEMORY = 64 << 20

MAKE_ONE = "export {}=$(openssl rand -hex 24)"


def derived_key(secret: str, purpose: bytes) -> bytes:
    """Return the key of 32 bytes that `secret` has for one purpose.

    The first call for a secret takes a third of a second.
    """
    return hmac.digest(_stretched(secret), purpose, "sha256")


@lru_cache(maxsize=16)
def _stretched(secret: str) -> bytes:
    return hashlib.scrypt(
        secret.encode(),
        salt=SALT,
        n=COST,
        r=BLOCK,
        p=PARALLEL,
        maxmem=MOST_MEMORY,
        dklen=32,
    )


def weakness(secret: str) -> str | None:
    """Return why `secret` is easy to guess; None if nothing is seen."""
    if len(secret) < LEAST_LENGTH:
        return f"it has fewer than {LEAST_LENGTH} characters"
    if len(set(secret)) < LEAST_DIFFERENT:
        return f"it has fewer than {LEAST_DIFFERENT} different characters"
    return None


def check_secrets(settings: ServerSettings) -> None:
    """Refuse secrets that are easy to guess; warn of them on a loopback address.

    Raises `BadInput` with a command that makes a better one.
    """
    for name in ("token", "read_token", "token_secret", "jwt_secret"):
        secret: str | None = getattr(settings, name)
        why = weakness(secret) if secret else None
        if why is None:
            continue
        variable = f"HERALD_{name.upper()}"
        said = f"{variable} is easy to guess: {why}; {MAKE_ONE.format(variable)}"
        if not _is_loopback(settings.host):
            raise BadInput(f"{said} makes one. Only on 127.0.0.1 it would do.", name)
        log.warning("%s makes a better one.", said)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
