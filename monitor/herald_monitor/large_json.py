"""The `repr` of a large value, made from its JSON piece by piece.

Decoding a megabyte of small objects at once, and showing them, holds the interpreter
for a tenth of a second and takes fifty times the memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

PIECE = 4_096
"""Bytes that are decoded at once."""

MAX_DEPTH = 16
"""Large values within each other that are taken apart; each is read once more."""

_value = msgspec.json.Decoder().decode
_items = msgspec.json.Decoder(list[msgspec.Raw]).decode
_pairs = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class LargeJson:
    """A value as JSON that was found to be well-formed. Its `repr` is the value's."""

    __slots__ = ("raw",)

    def __init__(self, raw: msgspec.Raw) -> None:
        self.raw = raw

    def value(self) -> Any:
        """Return the value, decoded at once."""
        return _value(self.raw)

    def __repr__(self) -> str:
        return "".join(_shown(self.raw, MAX_DEPTH))


def _shown(raw: msgspec.Raw, depth: int) -> Iterator[str]:
    view = memoryview(raw)
    if len(view) > PIECE and depth and view[0] == ord("["):
        yield "["
        for number, item in enumerate(_items(raw)):
            yield ", " if number else ""
            yield from _shown(item, depth - 1)
        yield "]"
    elif len(view) > PIECE and depth and view[0] == ord("{"):
        yield "{"
        for number, (key, item) in enumerate(_pairs(raw).items()):
            yield f"{', ' if number else ''}{key!r}: "
            yield from _shown(item, depth - 1)
        yield "}"
    else:
        yield repr(_value(raw))
