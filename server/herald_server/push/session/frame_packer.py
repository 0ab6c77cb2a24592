"""Pack changes into `data` frames: bounded in size, each id once in a frame."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from herald_core.model.changes import Change
from herald_core.model.cursor import Cursor
from herald_core.model.vector_cursor import PartitionCursor, VectorCursor

ChangedRow = tuple[str, bytes | None]
"""Of a change: id, and JSON; None if the item is gone."""

MAX_FRAME_BYTES = 256 * 1024
"""Bytes of images in a frame, unless one alone is longer: many WebSocket libraries
accept no message over 1 MiB."""


class FrameContent(NamedTuple):
    """The images, and the ids that are gone, of one frame.

    With it all that was pending is sent up to `until`, if that is known.
    """

    put: list[bytes]
    gone: list[str]
    until: Cursor | None = None


class FramePacker:
    """Packs changes into `frames` of bounded size, in which each id is unique."""

    def __init__(self) -> None:
        self.frames: list[FrameContent] = []
        self._ids: set[str] = set()
        self._room = 0

    def has_room_for(self, rows: Sequence[ChangedRow]) -> bool:
        """Return True if all `rows` fit into the last frame, or there is none yet."""
        ids = {id_ for id_, _ in rows}
        size = sum([len(image) for _, image in rows if image is not None])
        fits = size <= self._room and self._ids.isdisjoint(ids)
        return not self.frames or (fits and len(ids) == len(rows))

    def end_frame(self, until: Cursor | None) -> None:
        """Let the next change begin a frame; `until` is the position before it.

        None: that position is unknown.
        """
        self.frames[-1] = self.frames[-1]._replace(until=until)
        self._room = -1

    def add(self, id_: str, image: bytes | None) -> None:
        """Add the new image of an item, or that it is gone (None)."""
        size = 0 if image is None else len(image)
        if not self.frames or id_ in self._ids or size > self._room:
            self.frames.append(FrameContent([], []))
            self._ids.clear()
            self._room = MAX_FRAME_BYTES
        if image is None:
            self.frames[-1].gone.append(id_)
        else:
            self.frames[-1].put.append(image)
        self._ids.add(id_)
        self._room -= size


def iter_entries(changes: Iterable[Change]) -> Iterator[tuple[Cursor, list[Change]]]:
    """Yield the place of each log entry, and its changes, of `changes` in order."""
    for _, group in groupby(changes, key=_get_entry_key):
        entry = list(group)
        yield entry[0].place[0], entry


def advance(until: Cursor, place: Cursor) -> Cursor | None:
    """Return the position after `until` and the entry at `place`; None: unknown.

    The place of an entry in one of several partitions is no position in all of them.
    """
    if not isinstance(place, PartitionCursor):
        return place
    return until.advance(place.part, place) if isinstance(until, VectorCursor) else None


def _get_entry_key(change: Change) -> tuple[Cursor, int]:
    place = change.place[0]
    return place, place.part if isinstance(place, PartitionCursor) else 0
