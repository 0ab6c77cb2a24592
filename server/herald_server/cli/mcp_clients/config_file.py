"""Add an entry to a configuration file of JSON, and keep all else as it is."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any, cast

from herald_core.errors import InvalidInput

NEW_FILE_MODE = 0o600
"""A configuration may hold a token."""


class ConfigFileError(InvalidInput):
    """The file cannot be changed without a risk for what it holds."""


def read_config(path: Path) -> dict[str, Any]:
    """Return the object in the file; empty if there is none.

    Raises `ConfigFileError` for anything that could not be written back as it was.
    """
    try:
        text = path.read_text("utf-8") if path.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigFileError(f"{path} cannot be read: {error}") from None
    if not text.strip():
        return {}
    try:
        found: object = json.loads(text)
    except ValueError as error:
        raise ConfigFileError(
            f"{path} is not plain JSON ({error}); comments would be lost, so nothing "
            "was written. Add the entry above by hand"
        ) from None
    if not isinstance(found, dict):
        raise ConfigFileError(f"{path} holds no JSON object; nothing was written")
    return cast("dict[str, Any]", found)


def add_entry(
    config: dict[str, Any], key: str, name: str, entry: dict[str, Any], *, replace: bool
) -> dict[str, Any]:
    """Return `config` with the entry; unchanged if it is there already. Pure.

    Raises `ConfigFileError` if another entry has that name, unless `replace`.
    """
    servers = config.get(key, {})
    if not isinstance(servers, dict):
        raise ConfigFileError(f"{key!r} is no object; nothing was written")
    known = cast("dict[str, Any]", servers)
    if name in known and known[name] != entry and not replace:
        raise ConfigFileError(
            f"another server has the name {name!r} there; nothing was written. Choose "
            "another with --name, or give --replace"
        )
    return {**config, key: {**known, name: entry}}


def write_config(path: Path, config: dict[str, Any], stamp: str) -> Path | None:
    """Write the file in one step; return where the old one was copied to, if any.

    A link stays a link. `stamp` is part of the name of the copy. Raises
    `ConfigFileError`.
    """
    target = path.resolve()
    text = json.dumps(config, indent=2, ensure_ascii=False) + "\n"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        backup = _copy(target, stamp) if target.exists() else None
        _replace(target, text)
    except OSError as error:
        raise ConfigFileError(f"{path} cannot be written: {error}") from None
    return backup


def _copy(target: Path, stamp: str) -> Path:
    backup = target.with_name(f"{target.name}.{stamp}.backup")
    handle = os.open(backup, os.O_WRONLY | os.O_CREAT | os.O_EXCL, NEW_FILE_MODE)
    with os.fdopen(handle, "wb") as copy:
        copy.write(target.read_bytes())
    return backup


def _replace(target: Path, text: str) -> None:
    mode = target.stat().st_mode & 0o777 if target.exists() else NEW_FILE_MODE
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(name, mode)
        os.replace(name, target)
    except BaseException:
        os.unlink(name)
        raise
