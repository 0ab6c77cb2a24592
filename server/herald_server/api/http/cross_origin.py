"""CORS: which responses pages of other origins may read (Fetch Standard §3.2)."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")

EXPOSED_HEADERS = (
    "Herald-Stale-Since",
    "Location",
    "Mcp-Protocol-Version",
    "Mcp-Session-Id",
    "Retry-After",
    "WWW-Authenticate",
)
"""Headers of answers that a page's script may read beside the safelisted ones."""

MAX_AGE_S = 600
"""Seconds for which a browser caches the response to a preflight."""


def allow_origins(origins: Iterable[str]) -> list[Middleware]:
    """Return the middleware that lets pages of `origins` read responses.

    `*` stands for every origin. Tokens travel in a header and never in a cookie, so
    CORS credentials are not allowed.
    """
    allowed = [origin.lower().rstrip("/") for origin in origins]
    if not allowed:
        return []
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=["*"] if "*" in allowed else allowed,
            allow_methods=METHODS,
            allow_headers=["*"],
            expose_headers=EXPOSED_HEADERS,
            max_age=MAX_AGE_S,
        )
    ]
