"""Signatures of the Standard Webhooks specification, version `v1`.

The specification is at www.standardwebhooks.com: HMAC-SHA256 over
`webhook-id.webhook-timestamp.body`, in Base64, one signature for each secret.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Iterable

from herald_core.errors import InvalidInput

SECRET_PREFIX = "whsec_"
SECRET_BYTES = 32
MIN_SECRET_BYTES, MAX_SECRET_BYTES = 24, 64
"""Bytes of a secret, by the specification."""


def make_secret() -> str:
    """Return a new random secret of 256 bits."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def decode_secret(secret: str) -> bytes:
    """Return the bytes of a secret. Raises `InvalidInput`."""
    text = secret.removeprefix(SECRET_PREFIX)
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if (
        not secret.startswith(SECRET_PREFIX)
        or not MIN_SECRET_BYTES <= len(key) <= MAX_SECRET_BYTES
    ):
        raise InvalidInput(
            f"secret must be {SECRET_PREFIX} and {MIN_SECRET_BYTES} "
            f"to {MAX_SECRET_BYTES} random bytes in Base64; "
            "leave it out to have one made",
            "secret",
        )
    return key


def sign_headers(
    id_: str, now: float, body: bytes, signing: Iterable[str]
) -> dict[str, str]:
    """Return the three headers of a delivery, signed with each secret.

    `now` is in unix seconds; it is the time of the attempt, not of the change.
    """
    at = str(int(now))
    signed = b"%b.%b.%b" % (id_.encode(), at.encode(), body)
    macs = (hmac.digest(decode_secret(one), signed, hashlib.sha256) for one in signing)
    return {
        "webhook-id": id_,
        "webhook-timestamp": at,
        "webhook-signature": " ".join(
            f"v1,{base64.b64encode(m).decode()}" for m in macs
        ),
    }
