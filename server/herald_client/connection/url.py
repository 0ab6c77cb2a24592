"""URL and token of a Herald server."""

from __future__ import annotations

import os
import re
from ipaddress import ip_address
from urllib.parse import SplitResult, parse_qs, urlsplit

import msgspec

from herald_core.errors import InvalidInput

DEFAULT_URL = "http://127.0.0.1:8787/"

ENVIRONMENT_PATH = "env"
"""First segment of the paths of an environment: `/env/NAME/…`."""

DEFAULT_ENVIRONMENT = "default"
"""Name of the environment at the root of a server."""

_ENVIRONMENT = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_OWN_PATH = re.compile(rf"/{ENVIRONMENT_PATH}/[^/]+/$")

SCHEMES = {"http": False, "https": True, "ws": False, "wss": True}
"""Scheme → whether it is secure."""


class ServerUrl(msgspec.Struct, frozen=True):
    """Parsed URL of a server. `path` begins and ends with a slash."""

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
        """Base URL, without the token."""
        return f"http{'s' if self.secure else ''}://{self.netloc}{self.path}"

    @property
    def websocket_url(self) -> str:
        """URL of the WebSocket."""
        return f"ws{'s' if self.secure else ''}://{self.netloc}{self.path}ws"

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine, to which no proxy leads."""
        try:
            return self.host == "localhost" or ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def headers(self) -> list[tuple[str, str]]:
        """Headers of every request."""
        return [("Authorization", f"Bearer {self.token}")] if self.token else []


def find_server_url(
    url: str | None = None, token: str | None = None, environment: str | None = None
) -> ServerUrl:
    """Return the parsed URL; HERALD_URL, HERALD_TOKEN and HERALD_ENVIRONMENT replace
    what is None.

    A URL may carry its token as `herald up` prints it: `…/#token=TOKEN`. An
    `environment` replaces one that the URL has. Raises `InvalidInput`.
    """
    text = url or os.environ.get("HERALD_URL") or DEFAULT_URL
    parts = _split_url(text)
    fragment = parse_qs(parts.fragment).get("token", [""])[0]
    chosen = token or fragment or os.environ.get("HERALD_TOKEN") or ""
    secure = SCHEMES[parts.scheme]
    name = environment or os.environ.get("HERALD_ENVIRONMENT") or ""
    return ServerUrl(
        host=parts.hostname or "",
        port=parts.port or (443 if secure else 80),
        path=_add_environment(parts.path.rstrip("/") + "/", name),
        secure=secure,
        token=check_token(chosen),
    )


def _add_environment(path: str, name: str) -> str:
    """Return the path of the environment `name` (empty: that of `path`)."""
    if not name:
        return path
    if not _ENVIRONMENT.fullmatch(name):
        raise InvalidInput(
            f"{name[:80]!r} is no name of an environment; the page and GET "
            "/api/v1/environments list those of a server",
            "environment",
        )
    root = _OWN_PATH.sub("/", path)
    return root if name == DEFAULT_ENVIRONMENT else f"{root}{ENVIRONMENT_PATH}/{name}/"


def _split_url(text: str) -> SplitResult:
    try:
        parts = urlsplit(text.strip())
        if _is_server_url(parts):
            return parts
    except ValueError:
        pass  # a port that is none, half a bracket
    raise InvalidInput(
        f"{text[:80]!r} is no URL of a Herald; give one such as {DEFAULT_URL}", "url"
    )


def _is_server_url(parts: SplitResult) -> bool:
    plain = parts.netloc + parts.path
    written_well = plain.isascii() and plain.isprintable() and " " not in plain
    return (
        written_well
        and parts.scheme in SCHEMES
        and bool(parts.hostname)
        and parts.port != 0
    )


def check_token(text: str) -> str:
    """Return a token without space around it. Raises `InvalidInput`."""
    token = text.strip()
    if not token.isascii() or not token.isprintable() or " " in token:
        raise InvalidInput(
            "the token holds characters that no token has; copy it again", "token"
        )
    return token
