"""Cursors of a store with several partitions, each of which has its own log.

A `VectorCursor` is a position in all of them: `E-n_E-n_…`, in the order of the
partitions. A `PartitionCursor` is a position in one of them: `E-n~PARTITION`. Clients
need not know the number of partitions.
"""

from __future__ import annotations

from collections.abc import Sequence

from herald_core.errors import InvalidCursor
from herald_core.model.cursor import START, Cursor, parse_cursor

MAX_PARTITIONS = 256

RevPosition = tuple[Cursor, int]
"""A log entry, and the number of a change in it: what a `rev` names."""


class PartitionCursor(Cursor):
    """A place in the log of one partition."""

    part: int

    def __new__(cls, epoch: int, n: int, part: int) -> PartitionCursor:
        made = super().__new__(cls, epoch, n)
        made.part = part
        return made

    def __str__(self) -> str:
        return f"{self.epoch}-{self.n}~{self.part}"

    # A vector compares itself with one of its components.

    def __lt__(self, other: object) -> bool:
        return (
            other > self
            if isinstance(other, VectorCursor)
            else _to_pair(self) < _to_pair(other)
        )

    def __le__(self, other: object) -> bool:
        return (
            other >= self
            if isinstance(other, VectorCursor)
            else _to_pair(self) <= _to_pair(other)
        )

    def __gt__(self, other: object) -> bool:
        return (
            other < self
            if isinstance(other, VectorCursor)
            else _to_pair(self) > _to_pair(other)
        )

    def __ge__(self, other: object) -> bool:
        return (
            other <= self
            if isinstance(other, VectorCursor)
            else _to_pair(self) >= _to_pair(other)
        )


def _to_pair(cursor: object) -> tuple[int, int]:
    assert isinstance(cursor, Cursor)
    return cursor.epoch, cursor.n


class VectorCursor(Cursor):
    """A position in the logs of all partitions.

    Its `epoch` represents all their epochs, and `n` is the number of all entries: it
    grows by one with each. The order is partial: `a >= b` means that `a` includes all
    of `b`, and `a < b` that it does not. A cursor of a store with another number of
    partitions is never ahead; its epoch differs.
    """

    parts: tuple[Cursor, ...]
    moved: int
    """The partition whose entry this is the place of."""

    def __new__(cls, parts: Sequence[Cursor], moved: int = 0) -> VectorCursor:
        plain = tuple(Cursor(part.epoch, part.n) for part in parts)
        # The hash of whole numbers is the same in every process.
        epoch = hash(tuple(part.epoch for part in plain))
        entries = sum(part.n + 1 for part in plain if part != START)
        made = super().__new__(cls, epoch, max(entries - 1, 0))
        made.parts, made.moved = plain, moved
        return made

    def advance(self, part: int, place: Cursor) -> VectorCursor:
        """Return the position after `place` of partition `part`."""
        return VectorCursor((*self.parts[:part], place, *self.parts[part + 1 :]), part)

    def is_next_after(self, before: Cursor) -> bool:
        """Return True if no entry can lie between `before` and this one.

        Only the partition of the entry has moved. Two positions that differ by one
        entry may differ in another partition.
        """
        old = self._align(before)
        if old is None:
            return False
        pairs = zip(self.parts, old.parts, strict=True)
        moved = [part for part, (mine, last) in enumerate(pairs) if mine != last]
        part = self.moved
        return moved == [part] and self.parts[part].is_next_after(old.parts[part])

    def __str__(self) -> str:
        return "_".join(map(str, self.parts))

    def __repr__(self) -> str:
        return f"Vector({self})"

    def __eq__(self, other: object) -> bool:
        if isinstance(other, VectorCursor):
            return self.parts == other.parts
        # Before everything there is nothing in any partition.
        return other == tuple(START) and all(part == START for part in self.parts)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self.parts)

    def __ge__(self, other: object) -> bool:
        if isinstance(other, PartitionCursor):
            own = self._get_component(other)
            return own is None or _to_pair(own) >= _to_pair(other)
        old = self._align(other)
        return old is None or all(
            a >= b for a, b in zip(self.parts, old.parts, strict=True)
        )

    def __le__(self, other: object) -> bool:
        if isinstance(other, PartitionCursor):
            own = self._get_component(other)
            return own is not None and _to_pair(own) <= _to_pair(other)
        old = self._align(other)
        return old is None or all(
            a <= b for a, b in zip(self.parts, old.parts, strict=True)
        )

    def __lt__(self, other: object) -> bool:
        return not self >= other

    def __gt__(self, other: object) -> bool:
        return not self <= other

    def _get_component(self, component: PartitionCursor) -> Cursor | None:
        number = component.part
        return self.parts[number] if number < len(self.parts) else None

    def _align(self, other: object) -> VectorCursor | None:
        if isinstance(other, VectorCursor) and len(other.parts) == len(self.parts):
            return other
        if other == tuple(START) and not isinstance(other, PartitionCursor):
            return VectorCursor([START] * len(self.parts))
        return None


def to_vector(cursor: Cursor, number: int) -> VectorCursor | None:
    """Return `cursor` as one of `number` partitions; None if it is of another store."""
    if isinstance(cursor, VectorCursor):
        return cursor if len(cursor.parts) == number else None
    return VectorCursor([START] * number) if cursor == START else None


def parse_any_cursor(text: str) -> Cursor:
    """Return the cursor, of whatever kind, written as `text`.

    Raises `InvalidCursor` with a sentence if `text` was never a cursor.
    """
    place, mark, part = text.partition("~")
    if mark:
        if not (part.isascii() and part.isdigit() and len(part) <= 3):
            raise InvalidCursor(
                f"{text[:40]!r} is no cursor; pass back one that Herald sent, or none",
                "since",
            )
        return PartitionCursor(*parse_cursor(place), int(part))
    parts = text.split("_", MAX_PARTITIONS)
    if len(parts) == 1:
        return parse_cursor(text)
    return VectorCursor([parse_cursor(part) for part in parts])


def parse_rev(rev: str) -> RevPosition:
    """Return the position that a `rev` names. Raises `InvalidCursor`."""
    cursor, _, number = rev.partition(".")
    return parse_any_cursor(cursor), int(number or 0)
