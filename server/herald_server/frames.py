"""What Herald says over `herald.v1`, as bytes. Images go in as they lie in the log."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from herald_monitor.model.codec import to_json
from herald_monitor.model.cursor import Cursor

NAME = "herald.v1"
VERSION = 1


def data(
    sub: str,
    put: Sequence[bytes],
    gone: Iterable[str] = (),
    cursor: Cursor | None = None,
    reset: str = "",
) -> bytes:
    """Return a `data` frame. `put` are JSON objects, `gone` ids."""
    parts = [b'{"type":"data","id":', to_json(sub)]
    if reset:
        parts += [b',"reset":', to_json(reset)]
    parts += [b',"put":[', b",".join(put), b"]"]
    ids = list(gone)
    if ids:
        parts += [b',"del":', to_json(ids)]
    if cursor is not None:
        parts += [b',"cursor":"', str(cursor).encode(), b'"']
    parts.append(b"}")
    return b"".join(parts)


def other(type_: str, **fields: Any) -> bytes:
    """Return a frame of another type; fields that are None are left out."""
    said = {"type": type_, **{k: v for k, v in fields.items() if v is not None}}
    return to_json(said)
