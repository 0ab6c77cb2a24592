"""Where a Herald is, and the token that it knows us by."""

from __future__ import annotations

import os
from urllib.parse import SplitResult, parse_qs, urlsplit

import msgspec

from herald_monitor.errors import BadInput

DEFAULT_URL = "http://127.0.0.1:8787/"

SCHEMES = {"http": False, "https": True, "ws": False, "wss": True}
"""Scheme → whether it is secure."""


class Address(msgspec.Struct, frozen=True):
    """A Herald's place. `path` begins and ends with a slash."""

    host: str
    port: int
    path: str = "/"
    secure: bool = False
    token: str = ""

    @property
    def netloc(self) -> str:
        """Host and port, as in a URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The base URL, without the token."""
        return f"http{'s' if self.secure else ''}://{self.netloc}{self.path}"

    @property
    def channel(self) -> str:
        """The URL of the WebSocket."""
        return f"ws{'s' if self.secure else ''}://{self.netloc}{self.path}ws"

    @property
    def headers(self) -> list[tuple[str, str]]:
        """What every request says of us."""
        return [("Authorization", f"Bearer {self.token}")] if self.token else []


def find_address(url: str | None = None, token: str | None = None) -> Address:
    """Return the address; what is None comes from HERALD_URL and HERALD_TOKEN.

    A URL may bring its token as `herald up` prints it: `…/#token=TOKEN`. Raises
    `BadInput`.
    """
    text = url or os.environ.get("HERALD_URL") or DEFAULT_URL
    parts = _split(text)
    fragment = parse_qs(parts.fragment).get("token", [""])[0]
    said = token or fragment or os.environ.get("HERALD_TOKEN") or ""
    secure = SCHEMES[parts.scheme]
    return Address(
        host=parts.hostname or "",
        port=parts.port or (443 if secure else 80),
        path=parts.path.rstrip("/") + "/",
        secure=secure,
        token=_token(said),
    )


def _split(text: str) -> SplitResult:
    try:
        parts = urlsplit(text.strip())
        if _fits(parts):
            return parts
    except ValueError:
        pass  # a port that is none, half a bracket
    raise BadInput(
        f"{text[:80]!r} is no URL of a Herald; give one such as {DEFAULT_URL}", "url"
    )


def _fits(parts: SplitResult) -> bool:
    plain = parts.netloc + parts.path
    written_well = plain.isascii() and plain.isprintable() and " " not in plain
    return (
        written_well
        and parts.scheme in SCHEMES
        and bool(parts.hostname)
        and parts.port != 0
    )


def _token(text: str) -> str:
    token = text.strip()
    if not token.isascii() or not token.isprintable() or " " in token:
        raise BadInput(
            "the token holds characters that no token has; copy it again", "token"
        )
    return token
