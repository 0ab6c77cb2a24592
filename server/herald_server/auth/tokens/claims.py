"""Parse the claims of a JWT. Pure.

`scope` is a text of words or a list (RFC 8693 §4.2); unknown scopes belong to other
applications. The filter claim is one object of Herald's filter grammar, or a list of
objects that must all match.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import msgspec

from herald_core.errors import HeraldError, InvalidInput
from herald_core.model.filters import (
    KEYS,
    Filter,
    parse_hidden_fields,
    parse_token_filter,
)
from herald_server.auth.identity import SCOPES

SCOPE_PREFIX = "herald:"
"""Optional prefix of a scope, for issuers that distinguish applications."""

MAX_FILTERS = 8


class BadToken(HeraldError):
    """An invalid token, with the reason."""


class Forbidden(BadToken):
    """A valid token of somebody who may not use this server."""


class WrongEnvironment(Forbidden):
    """A valid token of another environment."""


def parse_scopes(claim: object) -> frozenset[str]:
    """Return the scopes of Herald in `claim`."""
    listed = claim.split() if isinstance(claim, str) else claim
    if not isinstance(listed, list):
        return frozenset()
    words = {
        str(word).removeprefix(SCOPE_PREFIX) for word in cast("list[object]", listed)
    }
    return frozenset(words & set(SCOPES))


def parse_filter_claim(claim: object) -> Filter | None:
    """Return the filter in `claim`; None if there is none. Raises `BadToken`."""
    if claim is None:
        return None
    listed = cast("list[object]", claim) if isinstance(claim, list) else [claim]
    if not 0 < len(listed) <= MAX_FILTERS:
        raise BadToken("the token's filter is no list of one to eight filters")
    found: Filter | None = None
    for one in reversed(listed):
        found = _parse_filter(one).intersect(found)
    return found


def _parse_filter(claim: object) -> Filter:
    if not isinstance(claim, dict):
        raise BadToken("the token's filter must be an object of filter keys")
    try:
        return parse_narrowing(cast("dict[str, object]", claim))
    except InvalidInput as error:
        raise BadToken(f"the token's filter is wrong: {error}") from None


def parse_narrowing(given: Mapping[str, object]) -> Filter:
    """Return the filter of a token; its key `hide` lists fields that are not shown.

    Raises `InvalidFilter`.
    """
    keys = {key: value for key, value in given.items() if key != "hide"}
    if "hide" not in given:
        return parse_token_filter(keys)
    narrowed = parse_token_filter(keys) if keys else Filter()
    hidden = parse_hidden_fields(given["hide"])
    return msgspec.structs.replace(narrowed, hide=hidden)


def encode_filter_claim(only: Filter | None) -> list[dict[str, list[str]]]:
    """Return a filter in the form that `parse_filter_claim` parses; None as an empty
    list."""
    found: list[dict[str, list[str]]] = []
    while only is not None:
        keys = (*KEYS, "hide")
        given: Mapping[str, Any] = {key: getattr(only, key) for key in keys}
        one = {key: list(values) for key, values in given.items() if values is not None}
        if one and one not in found:  # a part that matches all narrows nothing
            found.append(one)
        only = only.also
    return found
