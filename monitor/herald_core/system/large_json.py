"""The `repr` of a large value, made from its JSON piece by piece.

Decoding a megabyte of small objects at once, and showing them, holds the interpreter
for a tenth of a second and takes fifty times the memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

PIECE_CHARS = 4_096
"""Bytes that are decoded at once."""

MAX_DEPTH = 16
"""Large values within each other that are taken apart; each is read once more."""

_decode_value = msgspec.json.Decoder().decode
_decode_items = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_pairs = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class LargeJson:
    """A value as JSON that was found to be well-formed. Its `repr` is the value's."""

    __slots__ = ("raw",)

    def __init__(self, raw: msgspec.Raw) -> None:
        self.raw = raw

    def decode(self) -> Any:
        """Return the value, decoded at once."""
        return _decode_value(self.raw)

    def __repr__(self) -> str:
        return "".join(_iter_repr(self.raw, MAX_DEPTH))


def _iter_repr(raw: msgspec.Raw, depth: int) -> Iterator[str]:
    view = memoryview(raw)
    if len(view) > PIECE_CHARS and depth and view[0] == ord("["):
        yield "["
        for number, item in enumerate(_decode_items(raw)):
            yield ", " if number else ""
            yield from _iter_repr(item, depth - 1)
        yield "]"
    elif len(view) > PIECE_CHARS and depth and view[0] == ord("{"):
        yield "{"
        for number, (key, item) in enumerate(_decode_pairs(raw).items()):
            yield f"{', ' if number else ''}{key!r}: "
            yield from _iter_repr(item, depth - 1)
        yield "}"
    else:
        yield repr(_decode_value(raw))
