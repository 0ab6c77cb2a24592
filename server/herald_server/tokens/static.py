"""Tokens in a herald.toml: only their hashes are written there.

[tokens.grafana]
hash = "sha256:…"            # `herald token --hash` makes it
scopes = ["read"]
only = { name = "reports.*" }
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from herald_monitor.errors import BadInput
from herald_monitor.model.filters import Filter, parse_narrowing
from herald_server.auth import SCOPES, Identity

HASH = re.compile(r"sha256:([0-9a-f]{64})")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
KEYS = ("hash", "scopes", "only")
OWNER = "owner"
READER = "herald:reader"
"""Names of HERALD_TOKEN and HERALD_READ_TOKEN; no table can have the second."""


def hash_of(token: str) -> str:
    """Return what is written for `token` in a herald.toml."""
    return f"sha256:{hashlib.sha256(token.encode()).hexdigest()}"


def read_tokens(path: Path) -> dict[bytes, Identity]:
    """Return who the tokens in `path` are for, by their SHA-256.

    Raises `BadInput` with the place.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(f"cannot read {path}: {error}") from None
    listed = table.get("tokens", {})
    if not isinstance(listed, dict):
        raise BadInput(f"{path}: tokens must be tables such as [tokens.grafana]")
    found: dict[bytes, Identity] = {}
    for name, one in cast("dict[str, object]", listed).items():
        try:
            digest, who = _token(name, one)
        except BadInput as error:
            raise BadInput(f"{path}: [tokens.{name[:64]}]: {error}") from None
        if digest in found:
            raise BadInput(f"{path}: [tokens.{name}] has the hash of another token")
        found[digest] = who
    return found


def _token(name: str, given: object) -> tuple[bytes, Identity]:
    if not NAME.fullmatch(name) or name == OWNER:
        raise BadInput("a name is of letters, digits, - . and _, and not `owner`")
    if not isinstance(given, dict):
        raise BadInput("must be a table with hash and scopes")
    table = cast("dict[str, Any]", given)
    unknown = sorted(table.keys() - set(KEYS))
    if unknown:
        raise BadInput(f"unknown key {unknown[0]!r}; it takes {', '.join(KEYS)}")
    written = HASH.fullmatch(str(table.get("hash", "")))
    if not written:
        raise BadInput('hash must be "sha256:" and 64 hex digits; see `herald token`')
    who = Identity(name, _scopes(table.get("scopes", ["read"])), _only(table))
    return bytes.fromhex(written[1]), who


def _scopes(given: object) -> frozenset[str]:
    if not isinstance(given, list) or not given:
        raise BadInput(f"scopes must be a list of {', '.join(SCOPES)}")
    for word in cast("list[object]", given):
        if word not in SCOPES:
            raise BadInput(f"unknown scope {word!r}; scopes are {', '.join(SCOPES)}")
    return frozenset(cast("list[str]", given))


def _only(table: Mapping[str, Any]) -> Filter | None:
    given = table.get("only")
    if given is None:
        return None
    if not isinstance(given, dict) or not given:
        raise BadInput('only must be a filter such as { name = "reports.*" }')
    return parse_narrowing(cast("dict[str, object]", given))
