"""What somebody asks a new token to be. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

import msgspec

from herald_monitor.errors import BadInput
from herald_monitor.model.filters import Filter, parse_narrowing
from herald_monitor.model.shape import rfc3339
from herald_server.auth import SCOPES, Identity, NotAllowed
from herald_server.tokens.claims import written

KEYS = ("scopes", "only", "ttl", "label")
DEFAULT_TTL = 900.0
LEAST_TTL = 1.0
MOST_TTL = 30 * 86_400.0
MOST_TTL_OF_OTHERS = 86_400.0
"""Seconds for which a token lives at most: made with the scope admin, without."""

LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
DURATION = re.compile(r"(\d{1,9})([smhd]?)")
UNITS = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400}


class Wish(msgspec.Struct, frozen=True):
    """A token that somebody asks for. `ttl` is in seconds."""

    scopes: frozenset[str] = frozenset(["read"])
    only: Filter | None = None
    ttl: float = DEFAULT_TTL
    label: str = ""


def parse_wish(given: Mapping[str, object]) -> Wish:
    """Return what `given` (a JSON object) asks for. Raises `BadInput`."""
    unknown = sorted(given.keys() - set(KEYS))
    if unknown:
        raise BadInput(f"unknown key {unknown[0]!r}; it takes {', '.join(KEYS)}")
    only = given.get("only")
    if only is not None and not (isinstance(only, dict) and only):
        raise BadInput('only must be a filter such as {"ids": ["…"]}', "only")
    return Wish(
        _scopes(given.get("scopes")),
        None if only is None else parse_narrowing(cast("dict[str, object]", only)),
        ttl_of(given.get("ttl")),
        _label(given.get("label")),
    )


def check(owner: Identity, wish: Wish) -> None:
    """Say no if `owner` has not what `wish` asks for. Raises `NotAllowed`."""
    more = sorted(wish.scopes - owner.scopes)
    if more:
        raise NotAllowed(f"your own token lacks the scope {more[0]}")
    if wish.ttl > MOST_TTL_OF_OTHERS and not owner.may("admin"):
        raise NotAllowed("without the scope admin a token lives for at most a day")


def _scopes(given: object) -> frozenset[str]:
    if given is None:
        return frozenset(["read"])
    listed = cast("list[object]", given) if isinstance(given, list) else []
    if not listed or not all(word in SCOPES for word in listed):
        raise BadInput(f"scopes must be a list of {', '.join(SCOPES)}", "scopes")
    return frozenset(cast("list[str]", listed))


def ttl_of(given: object) -> float:
    """Return seconds of a number, or of a text such as 15m. Raises `BadInput`."""
    if given is None:
        return DEFAULT_TTL
    seconds = -1.0
    if isinstance(given, int | float) and not isinstance(given, bool):
        seconds = float(given)
    elif isinstance(given, str) and (found := DURATION.fullmatch(given)):
        seconds = float(int(found[1]) * UNITS[found[2]])
    if not LEAST_TTL <= seconds <= MOST_TTL:
        raise BadInput("ttl must be a number of seconds, 15m, 2h or up to 30d", "ttl")
    return seconds


def _label(given: object) -> str:
    if given is None:
        return ""
    if not isinstance(given, str) or not LABEL.fullmatch(given):
        raise BadInput("label must be of letters, digits, - . and _", "label")
    return given


def shown(who: Identity, minted_at: float) -> dict[str, Any]:
    """Return a minted token without itself, as it is listed."""
    assert who.expires is not None
    return {
        "id": who.id,
        "name": who.name,
        "scopes": sorted(who.scopes),
        **({"only": written(who.only)} if who.only is not None else {}),
        "minted_at": rfc3339(minted_at),
        "expires_at": rfc3339(who.expires),
        **({"by": list(who.by)} if who.by else {}),
    }
