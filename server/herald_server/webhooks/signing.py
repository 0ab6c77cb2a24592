"""Signatures as the Standard Webhooks specification has them, version `v1`.

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

from herald_monitor.errors import BadInput

PREFIX = "whsec_"
BYTES = 32
LEAST, MOST = 24, 64
"""Bytes of a secret, by the specification."""


def new_secret() -> str:
    """Return a fresh secret of 256 bits."""
    return PREFIX + base64.b64encode(secrets.token_bytes(BYTES)).decode()


def key_of(secret: str) -> bytes:
    """Return the bytes of a secret. Raises `BadInput`."""
    text = secret.removeprefix(PREFIX)
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(PREFIX) or not LEAST <= len(key) <= MOST:
        raise BadInput(
            f"secret must be {PREFIX} and {LEAST} to {MOST} random bytes in Base64; "
            "leave it out to have one made",
            "secret",
        )
    return key


def signed_headers(
    id_: str, now: float, body: bytes, signing: Iterable[str]
) -> dict[str, str]:
    """Return the three headers of a delivery, signed with each secret.

    `now` is in unix seconds; it is the time of the attempt, not of the change.
    """
    at = str(int(now))
    signed = b"%b.%b.%b" % (id_.encode(), at.encode(), body)
    macs = (hmac.digest(key_of(one), signed, hashlib.sha256) for one in signing)
    return {
        "webhook-id": id_,
        "webhook-timestamp": at,
        "webhook-signature": " ".join(
            f"v1,{base64.b64encode(m).decode()}" for m in macs
        ),
    }
