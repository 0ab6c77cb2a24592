"""What a JWT's claims say of who holds it. Pure.

`scope` is a text of words or a list (RFC 8693 §4.2); those that Herald does not
know are somebody else's. The claim of the filter holds one object of the one filter
grammar, or a list of objects that must all match.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from herald_monitor.errors import BadInput, HeraldError
from herald_monitor.model.filters import KEYS, Filter, parse_narrowing
from herald_server.auth import SCOPES

OURS = "herald:"
"""May begin a scope, where an issuer has to tell applications apart."""

MOST_FILTERS = 8


class BadToken(HeraldError):
    """A token that opens nothing, and why."""


def scopes_of(claim: object) -> frozenset[str]:
    """Return the scopes that are ours in `claim`."""
    listed = claim.split() if isinstance(claim, str) else claim
    if not isinstance(listed, list):
        return frozenset()
    words = {str(word).removeprefix(OURS) for word in cast("list[object]", listed)}
    return frozenset(words & set(SCOPES))


def only_of(claim: object) -> Filter | None:
    """Return the filter in `claim`; None if there is none. Raises `BadToken`."""
    if claim is None:
        return None
    listed = cast("list[object]", claim) if isinstance(claim, list) else [claim]
    if not 0 < len(listed) <= MOST_FILTERS:
        raise BadToken("the token's filter is no list of one to eight filters")
    found: Filter | None = None
    for one in reversed(listed):
        found = _filter(one).within(found)
    return found


def _filter(claim: object) -> Filter:
    if not isinstance(claim, dict):
        raise BadToken("the token's filter must be an object of filter keys")
    try:
        return parse_narrowing(cast("dict[str, object]", claim))
    except BadInput as error:
        raise BadToken(f"the token's filter is wrong: {error}") from None


def written(only: Filter | None) -> list[dict[str, list[str]]]:
    """Return a filter as `only_of` reads it; none at all as an empty list."""
    found: list[dict[str, list[str]]] = []
    while only is not None:
        given: Mapping[str, Any] = {key: getattr(only, key) for key in KEYS}
        one = {key: list(values) for key, values in given.items() if values is not None}
        if one and one not in found:  # a part that matches all narrows nothing
            found.append(one)
        only = only.also
    return found
