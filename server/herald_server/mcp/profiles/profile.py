"""The profile of a client: which tools it wants, and how long its calls may take.

Over HTTP it is in the headers of each request; `herald mcp` takes options.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar

import msgspec
from fastmcp.server.dependencies import get_http_request

from herald_core.errors import InvalidInput
from herald_server.catalog.types import suggest_name
from herald_server.mcp.profiles.toolsets import RIGHTS, TOOLSET_NAMES

READ_ONLY_HEADER = "Herald-Read-Only"
TOOLSETS_HEADER = "Herald-Toolsets"
MAX_WAIT_HEADER = "Herald-Max-Wait"

TRUE_WORDS = ("1", "true", "yes", "on")
FALSE_WORDS = ("0", "false", "no", "off", "")
MAX_WAIT_S = 45.0
"""Maximum seconds of a wait: clients often abandon calls after 60 s."""


class ToolProfile(msgspec.Struct, frozen=True):
    """What a client wants to see.

    `toolsets` are the names of toolsets (None: all). A wait ends after `max_wait_s`
    seconds at the latest.
    """

    read_only: bool = False
    toolsets: frozenset[str] | None = None
    max_wait_s: float = MAX_WAIT_S

    def can_show(self, tool: str, *, reads: bool) -> bool:
        """Return True if a tool is in the profile; `reads`: it changes nothing."""
        if self.read_only and not reads:
            return False
        rights = RIGHTS.get(tool)
        return (
            self.toolsets is None or rights is None or rights.toolset in self.toolsets
        )


EVERYTHING = ToolProfile()

process_profile: ContextVar[ToolProfile] = ContextVar(
    "process_profile", default=EVERYTHING
)
"""The profile of calls that come by no HTTP request."""


def get_profile() -> ToolProfile:
    """Return the profile of the present call. Raises `InvalidInput`."""
    try:
        headers = get_http_request().headers
    except RuntimeError:
        return process_profile.get()
    return parse_headers(headers)


def parse_headers(headers: Mapping[str, str]) -> ToolProfile:
    """Return the profile in the headers of a request. Raises `InvalidInput`."""
    if not any(name in headers for name in _HEADERS):
        return EVERYTHING
    return ToolProfile(
        read_only=_parse_switch(headers.get(READ_ONLY_HEADER, "")),
        toolsets=parse_toolsets(headers.get(TOOLSETS_HEADER), TOOLSETS_HEADER),
        max_wait_s=parse_max_wait(headers.get(MAX_WAIT_HEADER), MAX_WAIT_HEADER),
    )


_HEADERS = (READ_ONLY_HEADER, TOOLSETS_HEADER, MAX_WAIT_HEADER)


def _parse_switch(text: str) -> bool:
    word = text.strip().lower()
    if word in TRUE_WORDS or word in FALSE_WORDS:
        return word in TRUE_WORDS
    raise InvalidInput(f"{READ_ONLY_HEADER} must be true or false", READ_ONLY_HEADER)


def parse_toolsets(text: str | None, key: str) -> frozenset[str] | None:
    """Return the toolsets in a list with commas; None for all.

    Raises `InvalidInput`.
    """
    names = [name.strip() for name in (text or "").split(",") if name.strip()]
    for name in names:
        if name not in TOOLSET_NAMES and name != "all":
            meant = suggest_name(name, TOOLSET_NAMES)
            raise InvalidInput(
                f"{key}: unknown toolset {name[:60]!r}{meant}; there are "
                f"{', '.join(TOOLSET_NAMES)}",
                key,
            )
    return None if not names or "all" in names else frozenset(names)


def parse_max_wait(text: str | None, key: str) -> float:
    """Return the seconds that a wait may take, at most 45. Raises `InvalidInput`."""
    if text is None:
        return MAX_WAIT_S
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise InvalidInput(f"{key} must be a number of seconds, such as 4", key)
    return min(seconds, MAX_WAIT_S)
