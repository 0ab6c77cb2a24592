"""The options of both HTTP clients."""

from __future__ import annotations

import ssl
from typing import Any

import httpx2

from herald_client.connection.answers import KEEP_ALIVE_S
from herald_client.connection.url import ServerUrl


def make_client_options(address: ServerUrl) -> dict[str, Any]:
    """Return the keyword arguments of `httpx2.Client` and `httpx2.AsyncClient`."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if address.secure:
        tls = ssl.create_default_context()  # loads all certificates: 30 ms
    return {
        "headers": {"Accept": "application/json"},
        "verify": tls,
        "timeout": None,  # the sender limits a request as a whole
        "limits": httpx2.Limits(keepalive_expiry=KEEP_ALIVE_S),
        "trust_env": not address.is_local,
    }


def make_request_options(
    address: ServerUrl, target: str, headers: list[tuple[str, str]], body: bytes | None
) -> dict[str, Any]:
    """Return the keyword arguments of a request to `target`, below the base URL."""
    given = dict(headers)
    if body is not None:
        given["Content-Type"] = "application/json"
    # Unnormalised: httpx would resolve a task id of two dots as the parent folder.
    return {
        "url": address.url,
        "headers": given,
        "content": body,
        "extensions": {"target": (address.path + target).encode()},
    }
