"""Files that no other user of this machine may read or write."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Collection
from pathlib import Path

log = logging.getLogger(__name__)

OTHER_USERS_MASK = 0o077
"""Permission bits of the group and of all others."""


def make_private_directory(place: Path, ours: Collection[str] = ()) -> None:
    """Make `place` (0700), and its missing parents likewise.

    An existing directory becomes 0700 if it holds nothing but `ours`: an older version
    may have made it. In a directory with other files only `ours` become private. Raises
    `OSError` if it cannot be made.
    """
    missing = [one for one in (place, *place.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir(mode=0o700, exist_ok=True)
    names = os.listdir(place)
    if set(names) <= set(ours):
        _restrict_access(place)
    for name in set(names) & set(ours):
        _restrict_access(place / name)
    if place.stat().st_mode & 0o022:
        log.warning(
            "Other users of this machine may write to the directory %s, and so replace "
            "its files. Remove that permission: chmod go-w %s",
            *(place, place),
        )


def write_private(path: Path, text: str) -> None:
    """Write `text` to a file that only we may read. Raises `OSError`."""
    with os.fdopen(open_private(path, os.O_WRONLY | os.O_TRUNC), "w") as file:
        file.write(text)


def open_private(path: Path, flags: int) -> int:
    """Open `path` (0600, made if it is missing); return its file descriptor.

    A symbolic link in its place is refused. Raises `OSError`.
    """
    opened = os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with contextlib.suppress(PermissionError):
        os.fchmod(opened, 0o600)
    return opened


def _restrict_access(path: Path) -> None:
    mode = path.lstat().st_mode
    if mode & OTHER_USERS_MASK and not path.is_symlink():
        # The files may belong to another user, such as those of a mounted volume.
        with contextlib.suppress(PermissionError):
            path.chmod(mode & 0o7777 & ~OTHER_USERS_MASK)
