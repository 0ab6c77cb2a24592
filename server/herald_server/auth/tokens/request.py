"""Requests to mint a token. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

import msgspec

from herald_core.errors import InvalidInput
from herald_core.model.filters import (
    Filter,
    parse_hidden_fields,
    parse_token_filter,
)
from herald_core.model.tasks.views import to_rfc3339
from herald_server.auth.identity import SCOPES, Identity, PermissionDenied
from herald_server.auth.tokens.claims import encode_filter_claim

REQUEST_KEYS = ("scopes", "only", "hide", "ttl", "label")
DEFAULT_TTL_S = 900.0
MIN_TTL_S = 1.0
MAX_TTL_S = 30 * 86_400.0
MAX_DERIVED_TTL_S = 86_400.0
"""Maximum lifetime in seconds of a token that is derived without the scope admin."""

LABEL_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
DURATION_PATTERN = re.compile(r"(\d{1,9})([smhd]?)")
UNIT_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400}


class TokenRequest(msgspec.Struct, frozen=True):
    """A request to mint a token. `ttl` is in seconds."""

    scopes: frozenset[str] = frozenset(["read"])
    only: Filter | None = None
    ttl: float = DEFAULT_TTL_S
    label: str = ""


def parse_token_request(given: Mapping[str, object]) -> TokenRequest:
    """Return the parsed request (a JSON object). Raises `InvalidInput`."""
    unknown = sorted(given.keys() - set(REQUEST_KEYS))
    if unknown:
        raise InvalidInput(
            f"unknown key {unknown[0]!r}; it takes {', '.join(REQUEST_KEYS)}"
        )
    only = given.get("only")
    if only is not None and not (isinstance(only, dict) and only):
        raise InvalidInput('only must be a filter such as {"ids": ["…"]}', "only")
    return TokenRequest(
        _parse_scopes(given.get("scopes")),
        _parse_narrowing(cast("dict[str, object] | None", only), given.get("hide")),
        parse_ttl(given.get("ttl")),
        _parse_label(given.get("label")),
    )


def _parse_narrowing(only: Mapping[str, object] | None, hide: object) -> Filter | None:
    narrowed = None if only is None else parse_token_filter(only)
    if hide is None:
        return narrowed
    hidden = parse_hidden_fields(hide)
    return msgspec.structs.replace(narrowed or Filter(), hide=hidden)


def check_permitted(owner: Identity, wish: TokenRequest) -> None:
    """Raise `PermissionDenied` if `owner` lacks what `wish` requests."""
    more = sorted(wish.scopes - owner.scopes)
    if more:
        raise PermissionDenied(f"your own token lacks the scope {more[0]}")
    if wish.ttl > MAX_DERIVED_TTL_S and not owner.has_scope("admin"):
        raise PermissionDenied(
            "without the scope admin a token lives for at most a day"
        )


def _parse_scopes(given: object) -> frozenset[str]:
    if given is None:
        return frozenset(["read"])
    listed = cast("list[object]", given) if isinstance(given, list) else []
    if not listed or not all(word in SCOPES for word in listed):
        raise InvalidInput(f"scopes must be a list of {', '.join(SCOPES)}", "scopes")
    return frozenset(cast("list[str]", listed))


def parse_ttl(given: object) -> float:
    """Return the seconds of a number, or of a text such as 15m.

    Raises `InvalidInput`.
    """
    if given is None:
        return DEFAULT_TTL_S
    seconds = -1.0
    if isinstance(given, int | float) and not isinstance(given, bool):
        seconds = float(given)
    elif isinstance(given, str) and (found := DURATION_PATTERN.fullmatch(given)):
        seconds = float(int(found[1]) * UNIT_SECONDS[found[2]])
    if not MIN_TTL_S <= seconds <= MAX_TTL_S:
        raise InvalidInput(
            "ttl must be a number of seconds, 15m, 2h or up to 30d", "ttl"
        )
    return seconds


def _parse_label(given: object) -> str:
    if given is None:
        return ""
    if not isinstance(given, str) or not LABEL_PATTERN.fullmatch(given):
        raise InvalidInput("label must be of letters, digits, - . and _", "label")
    return given


def to_token_view(who: Identity, minted_at: float) -> dict[str, Any]:
    """Return the metadata of a minted token, without the token."""
    assert who.expires is not None
    return {
        "id": who.id,
        "name": who.name,
        "scopes": sorted(who.scopes),
        **(
            {"only": encode_filter_claim(who.task_filter)}
            if who.task_filter is not None
            else {}
        ),
        "minted_at": to_rfc3339(minted_at),
        "expires_at": to_rfc3339(who.expires),
        **({"by": list(who.issuers)} if who.issuers else {}),
    }
