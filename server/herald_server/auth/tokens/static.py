"""Tokens in a herald.toml: only their hashes are written there.

[tokens.grafana]
hash = "sha256:…"            # `herald token --hash` makes it
scopes = ["read"]
only = { name = "reports.*" }
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from herald_core.errors import InvalidInput
from herald_core.model.filters import Filter
from herald_core.system.toml_tables import read_toml_table
from herald_server.auth.identity import DEFAULT_ENVIRONMENT, SCOPES, Identity
from herald_server.auth.tokens.claims import parse_narrowing

HASH_PATTERN = re.compile(r"sha256:([0-9a-f]{64})")
NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
TABLE_KEYS = {
    "hash": "The SHA-256 of the token, `sha256:…`; `herald token --hash` makes it",
    "scopes": "What it may do: `read`, `start`, `cancel`, `mark`, `admin`",
    "only": 'A filter: the tasks that it sees, such as `{ name = "reports.*" }`',
    "hide": "Fields of tasks that it does not see, such as `args` and `traceback`",
    "environments": "Environments that it may use; by default the default one",
}
"""The keys of a table, and what they mean."""

OWNER = "owner"
READER = "herald:reader"
"""Names of HERALD_TOKEN and HERALD_READ_TOKEN; no table can have the second."""


def hash_token(token: str) -> str:
    """Return the hash of `token` for a herald.toml."""
    return f"sha256:{hashlib.sha256(token.encode()).hexdigest()}"


def read_tokens(path: Path) -> dict[bytes, Identity]:
    """Return the identities of the tokens in `path`, by their SHA-256.

    Raises `InvalidInput` with the table.
    """
    listed = read_toml_table(path, "tokens", "tables such as [tokens.grafana]")
    found: dict[bytes, Identity] = {}
    for name, one in listed.items():
        try:
            digest, who = _parse_token(name, one)
        except InvalidInput as error:
            raise InvalidInput(f"{path}: [tokens.{name[:64]}]: {error}") from None
        if digest in found:
            raise InvalidInput(f"{path}: [tokens.{name}] has the hash of another token")
        found[digest] = who
    return found


def _parse_token(name: str, given: object) -> tuple[bytes, Identity]:
    if not NAME_PATTERN.fullmatch(name) or name == OWNER:
        raise InvalidInput("a name is of letters, digits, - . and _, and not `owner`")
    if not isinstance(given, dict):
        raise InvalidInput("must be a table with hash and scopes")
    table = cast("dict[str, Any]", given)
    unknown = sorted(table.keys() - TABLE_KEYS.keys())
    if unknown:
        raise InvalidInput(
            f"unknown key {unknown[0]!r}; it takes {', '.join(TABLE_KEYS)}"
        )
    written = HASH_PATTERN.fullmatch(str(table.get("hash", "")))
    if not written:
        raise InvalidInput(
            'hash must be "sha256:" and 64 hex digits; see `herald token`'
        )
    who = Identity(
        name,
        _parse_scopes(table.get("scopes", ["read"])),
        _parse_filter(table),
        environments=parse_environments(table.get("environments")),
    )
    return bytes.fromhex(written[1]), who


def parse_environments(given: object) -> tuple[str, ...]:
    """Return the environments of a token or a group. Raises `InvalidInput`."""
    if given is None:
        return (DEFAULT_ENVIRONMENT,)
    listed = cast("list[object]", given) if isinstance(given, list) else []
    if not listed or not all(isinstance(one, str) and one for one in listed):
        raise InvalidInput('environments must be a list such as ["default"]')
    return tuple(map(str, listed))


def _parse_scopes(given: object) -> frozenset[str]:
    if not isinstance(given, list) or not given:
        raise InvalidInput(f"scopes must be a list of {', '.join(SCOPES)}")
    for word in cast("list[object]", given):
        if word not in SCOPES:
            raise InvalidInput(
                f"unknown scope {word!r}; scopes are {', '.join(SCOPES)}"
            )
    return frozenset(cast("list[str]", given))


def _parse_filter(table: Mapping[str, Any]) -> Filter | None:
    given, hide = table.get("only"), table.get("hide")
    if given is not None and (not isinstance(given, dict) or not given):
        raise InvalidInput('only must be a filter such as { name = "reports.*" }')
    if given is None and hide is None:
        return None
    whole = cast("dict[str, object]", given or {})
    return parse_narrowing(whole if hide is None else {**whole, "hide": hide})
