"""The identity of a person who signed in, by the groups. Pure."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from typing import Any, cast
from urllib.parse import quote

import msgspec

from herald_server.auth.identity import DEFAULT_ENVIRONMENT, Identity
from herald_server.auth.sso.settings import OidcSettings, SsoGroup
from herald_server.auth.tokens.claims import BadToken

NAME_PREFIX = "sso:"
"""Before the name of a person, so that it is no name of a token."""

MAX_NAME_CHARS = 200


class NoGroup(BadToken):
    """A person is in none of the groups that may use this server."""


class Person(msgspec.Struct, frozen=True):
    """Who signed in at a provider, and the groups there."""

    name: str
    groups: tuple[str, ...]


def read_person(claims: Mapping[str, Any], oidc: OidcSettings) -> Person | None:
    """Return whom the claims of a provider are about; None if they do not say it."""
    name = claims.get(oidc.name_claim) or claims.get("sub")
    if not isinstance(name, str) or not name:
        return None
    return Person(name, tuple(list_groups(claims, oidc.groups_claim)))


def make_identity(
    name: str,
    groups: Iterable[str],
    known: Iterable[SsoGroup],
    expires: float,
    prefix: str = NAME_PREFIX,
    environment: str = DEFAULT_ENVIRONMENT,
) -> Identity:
    """Return the identity of a person in an environment until `expires` (unix seconds).

    The first of the `known` groups that the person is in counts. `prefix` is put
    before the name. Raises `NoGroup`.
    """
    members = set(groups)
    for group in known:
        if group.name in members:
            return Identity(
                # A slash separates a token's name from those of derived tokens.
                prefix + quote(name[:MAX_NAME_CHARS], safe="@:+|~ "),
                group.scopes,
                group.only,
                expires,
                secrets.token_hex(8),
                environments=(environment,),
            )
    raise NoGroup(
        f"{name[:MAX_NAME_CHARS]} is in none of the groups that may use this Herald;"
        " ask whoever runs it"
    )


def list_groups(claims: Mapping[str, Any], claim: str) -> list[str]:
    """Return the groups in a claim: a list of texts, or texts with spaces or commas."""
    given = claims.get(claim)
    if isinstance(given, str):
        return given.replace(",", " ").split()
    if isinstance(given, list):
        return [one for one in cast("list[object]", given) if isinstance(one, str)]
    return []
