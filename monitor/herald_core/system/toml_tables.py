"""Tables of a herald.toml."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import cast

from herald_core.errors import InvalidInput


def read_toml(path: Path) -> dict[str, object]:
    """Return the content of the TOML file at `path`. Raises `InvalidInput`."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidInput(f"cannot read {path}: {error}") from None


def read_toml_table(path: Path, key: str, form: str) -> dict[str, object]:
    """Return the table `key` of the file at `path`; empty if it has none.

    `form` says in an error message what `key` must be. Raises `InvalidInput`.
    """
    table = read_toml(path).get(key, {})
    if not isinstance(table, dict):
        raise InvalidInput(f"{path}: {key} must be {form}")
    return cast("dict[str, object]", table)
