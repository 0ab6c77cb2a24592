"""Cursors of a store with several partitions, each of which has a log of its own.

A place in all of them is a `Vector`: `E-n_E-n_…`, in the order of the partitions.
A place in one of them is a `Component`: `E-n~PARTITION`. Both are cursors: who
reads or resumes need not know how many partitions there are.
"""

from __future__ import annotations

from collections.abc import Sequence

from herald_monitor.errors import BadCursor
from herald_monitor.model.cursor import START, Cursor, parse_cursor

MOST_PARTITIONS = 256


class Component(Cursor):
    """A place in the log of one partition."""

    part: int

    def __new__(cls, epoch: int, n: int, part: int) -> Component:
        made = super().__new__(cls, epoch, n)
        made.part = part
        return made

    def __str__(self) -> str:
        return f"{self.epoch}-{self.n}~{self.part}"

    # A vector knows how to compare itself with one of its components.

    def __lt__(self, other: object) -> bool:
        return other > self if isinstance(other, Vector) else _pair(self) < _pair(other)

    def __le__(self, other: object) -> bool:
        return (
            other >= self if isinstance(other, Vector) else _pair(self) <= _pair(other)
        )

    def __gt__(self, other: object) -> bool:
        return other < self if isinstance(other, Vector) else _pair(self) > _pair(other)

    def __ge__(self, other: object) -> bool:
        return (
            other <= self if isinstance(other, Vector) else _pair(self) >= _pair(other)
        )


def _pair(cursor: object) -> tuple[int, int]:
    assert isinstance(cursor, Cursor)
    return cursor.epoch, cursor.n


class Vector(Cursor):
    """A place in the logs of all partitions.

    Its `epoch` stands for all their epochs, and `n` numbers the entries of all: it
    grows by one with each. The order is partial: `a >= b` says that nothing
    of `b` is missing in `a`, and `a < b` that something is. What was said by a
    store of another number of partitions is never ahead; its epoch differs.
    """

    parts: tuple[Cursor, ...]
    moved: int
    """The partition whose entry this is the place of."""

    def __new__(cls, parts: Sequence[Cursor], moved: int = 0) -> Vector:
        plain = tuple(Cursor(part.epoch, part.n) for part in parts)
        # The hash of whole numbers is the same in every process.
        epoch = hash(tuple(part.epoch for part in plain))
        entries = sum(part.n + 1 for part in plain if part != START)
        made = super().__new__(cls, epoch, max(entries - 1, 0))
        made.parts, made.moved = plain, moved
        return made

    def at(self, part: int, place: Cursor) -> Vector:
        """Return the place behind `place` of partition `part`."""
        return Vector((*self.parts[:part], place, *self.parts[part + 1 :]), part)

    def follows(self, before: Cursor) -> bool:
        """Say whether nothing can lie between `before` and the entry at this place.

        Only the partition of the entry has moved: of two places that differ by one
        entry it may be another one's.
        """
        old = self._alike(before)
        if old is None:
            return False
        pairs = zip(self.parts, old.parts, strict=True)
        moved = [part for part, (mine, last) in enumerate(pairs) if mine != last]
        part = self.moved
        return moved == [part] and self.parts[part].follows(old.parts[part])

    def __str__(self) -> str:
        return "_".join(map(str, self.parts))

    def __repr__(self) -> str:
        return f"Vector({self})"

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Vector):
            return self.parts == other.parts
        # Before everything there is nothing in any partition.
        return other == tuple(START) and all(part == START for part in self.parts)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self.parts)

    def __ge__(self, other: object) -> bool:
        if isinstance(other, Component):
            own = self._place(other)
            return own is None or _pair(own) >= _pair(other)
        old = self._alike(other)
        return old is None or all(
            a >= b for a, b in zip(self.parts, old.parts, strict=True)
        )

    def __le__(self, other: object) -> bool:
        if isinstance(other, Component):
            own = self._place(other)
            return own is not None and _pair(own) <= _pair(other)
        old = self._alike(other)
        return old is None or all(
            a <= b for a, b in zip(self.parts, old.parts, strict=True)
        )

    def __lt__(self, other: object) -> bool:
        return not self >= other

    def __gt__(self, other: object) -> bool:
        return not self <= other

    def _place(self, component: Component) -> Cursor | None:
        number = component.part
        return self.parts[number] if number < len(self.parts) else None

    def _alike(self, other: object) -> Vector | None:
        if isinstance(other, Vector) and len(other.parts) == len(self.parts):
            return other
        if other == tuple(START) and not isinstance(other, Component):
            return Vector([START] * len(self.parts))
        return None


def vector_of(cursor: Cursor, number: int) -> Vector | None:
    """Return `cursor` as one of `number` partitions; None if it is of another store."""
    if isinstance(cursor, Vector):
        return cursor if len(cursor.parts) == number else None
    return Vector([START] * number) if cursor == START else None


def parse_any_cursor(text: str) -> Cursor:
    """Return the cursor, of whatever kind, written as `text`.

    Raises `BadCursor` with a sentence if `text` was never a cursor.
    """
    place, mark, part = text.partition("~")
    if mark:
        if not (part.isascii() and part.isdigit() and len(part) <= 3):
            raise BadCursor(
                f"{text[:40]!r} is no cursor; pass back one that Herald sent, or none",
                "since",
            )
        return Component(*parse_cursor(place), int(part))
    parts = text.split("_", MOST_PARTITIONS)
    if len(parts) == 1:
        return parse_cursor(text)
    return Vector([parse_cursor(part) for part in parts])
