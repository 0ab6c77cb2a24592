"""Small things that a server must not forget, and that are no tasks: the port.

Orders under way: which key a task was started with, which cancel is to be
repeated. No news of a note is in the log, and each runs out by itself.
"""

from __future__ import annotations

import time
from typing import Protocol


class Notes(Protocol):
    """Keeps notes of some `kind` by id. They outlive the process that took them."""

    async def put_note(
        self, kind: str, id_: str, text: bytes, seconds: float, *, new: bool = False
    ) -> bool:
        """Keep `text` for some `seconds`; say whether it is kept.

        `new`: only if there is no such note; of many who try, one succeeds.
        """
        ...

    async def note(self, kind: str, id_: str) -> bytes | None:
        """Return a note, or None if there is none (any more)."""
        ...

    async def notes(self, kind: str) -> dict[str, bytes]:
        """Return all notes of a kind by id."""
        ...

    async def noted(self, kind: str) -> list[str]:
        """Return the ids of all notes of a kind; who runs out first comes first."""
        ...

    async def drop_note(self, kind: str, id_: str) -> None:
        """Forget a note, if there is one."""
        ...

    async def add_line(self, kind: str, text: bytes, most: int, seconds: float) -> None:
        """Write a line into the book `kind`, of which the newest `most` are kept.

        The book runs out some `seconds` after its last line.
        """
        ...

    async def lines(self, kind: str, most: int) -> list[bytes]:
        """Return the newest lines of a book, newest first."""
        ...


class MemoryNotes:
    """The `Notes` port in a dict."""

    def __init__(self) -> None:
        self._notes: dict[tuple[str, str], tuple[float, bytes]] = {}
        self._books: dict[str, tuple[float, list[bytes]]] = {}

    async def put_note(
        self, kind: str, id_: str, text: bytes, seconds: float, *, new: bool = False
    ) -> bool:
        if new and await self.note(kind, id_) is not None:
            return False
        self._notes[kind, id_] = time.monotonic() + seconds, text
        return True

    async def note(self, kind: str, id_: str) -> bytes | None:
        return (await self.notes(kind)).get(id_)

    async def notes(self, kind: str) -> dict[str, bytes]:
        now = time.monotonic()
        kept = {key: one for key, one in self._notes.items() if one[0] > now}
        self._notes = kept
        return {id_: text for (of, id_), (_, text) in kept.items() if of == kind}

    async def noted(self, kind: str) -> list[str]:
        found = await self.notes(kind)
        return sorted(found, key=lambda id_: self._notes[kind, id_][0])

    async def drop_note(self, kind: str, id_: str) -> None:
        self._notes.pop((kind, id_), None)

    async def add_line(self, kind: str, text: bytes, most: int, seconds: float) -> None:
        lines = [text, *await self.lines(kind, most - 1)]
        self._books[kind] = time.monotonic() + seconds, lines

    async def lines(self, kind: str, most: int) -> list[bytes]:
        until, lines = self._books.get(kind, (0.0, []))
        return lines[:most] if until > time.monotonic() else []
