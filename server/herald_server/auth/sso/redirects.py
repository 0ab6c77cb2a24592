"""The addresses to which a user may be sent back with the code of an MCP client. Pure.

Whoever owns such an address gets the code, so by default it is on the user's own
machine (RFC 8252 §7.3).
"""

from __future__ import annotations

from typing import cast
from urllib.parse import urlsplit

from herald_core.errors import InvalidInput
from herald_server.auth.identity import LOOPBACK

LOOPBACK_REDIRECTS = ("http://127.0.0.1:*", "http://localhost:*", "http://[::1]:*")
"""Patterns of the user's own machine: any port, any path."""

EXAMPLE = "https://claude.ai/api/mcp/auth_callback"


def parse_redirects(given: object) -> tuple[str, ...]:
    """Return a list of addresses; a path may end in `*`. Raises `InvalidInput`."""
    listed = cast("list[object]", given) if isinstance(given, list) else [given]
    for one in listed:
        if not isinstance(one, str) or not _is_address(one):
            raise InvalidInput(
                f'mcp_redirects must be a list of addresses such as "{EXAMPLE}"'
            )
    return tuple(map(str, listed))


def _is_address(text: str) -> bool:
    place = urlsplit(text)
    if place.scheme == "http":
        return place.hostname in LOOPBACK
    if place.scheme == "https":
        # A pattern of hosts would let in whoever gets one of them.
        return bool(place.netloc.strip("/")) and "*" not in place.netloc
    # The scheme of an application on the user's machine, such as `cursor://`.
    return bool(place.scheme) and place.scheme not in ("javascript", "data", "file")
