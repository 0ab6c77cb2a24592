"""The port for small items of a server that are no tasks.

Items are orders under way, such as the key that a task was started with, or a cancel to
repeat. They have no entries in the change log, and each expires by itself.
"""

from __future__ import annotations

import time
from typing import Protocol


class KeyValueStore(Protocol):
    """A store of small texts by `kind` and id.

    They outlive the process that wrote them.
    """

    async def put_item(
        self, kind: str, id_: str, text: bytes, seconds: float, *, new: bool = False
    ) -> bool:
        """Store `text` for some `seconds`; return True if it is stored.

        `new`: only if there is no such item. Of concurrent callers exactly one
        succeeds.
        """
        ...

    async def get_item(self, kind: str, id_: str) -> bytes | None:
        """Return a note, or None if there is none (any more)."""
        ...

    async def get_items(self, kind: str) -> dict[str, bytes]:
        """Return all notes of a kind by id."""
        ...

    async def list_items(self, kind: str) -> list[str]:
        """Return the ids of all items of a kind; the first to expire comes first."""
        ...

    async def delete_item(self, kind: str, id_: str) -> None:
        """Delete an item, if there is one."""
        ...

    async def push_line(
        self, kind: str, text: bytes, limit: int, seconds: float
    ) -> None:
        """Append a line to the list `kind`, which holds the newest `limit` lines.

        The list expires some `seconds` after its last line.
        """
        ...

    async def read_lines(self, kind: str, limit: int) -> list[bytes]:
        """Return the newest lines of a book, newest first."""
        ...


class MemoryKeyValueStore:
    """The `KeyValueStore` port in a dict."""

    def __init__(self) -> None:
        self._items: dict[tuple[str, str], tuple[float, bytes]] = {}
        self._lists: dict[str, tuple[float, list[bytes]]] = {}

    async def put_item(
        self, kind: str, id_: str, text: bytes, seconds: float, *, new: bool = False
    ) -> bool:
        if new and await self.get_item(kind, id_) is not None:
            return False
        self._items[kind, id_] = time.monotonic() + seconds, text
        return True

    async def get_item(self, kind: str, id_: str) -> bytes | None:
        return (await self.get_items(kind)).get(id_)

    async def get_items(self, kind: str) -> dict[str, bytes]:
        now = time.monotonic()
        kept = {key: one for key, one in self._items.items() if one[0] > now}
        self._items = kept
        return {id_: text for (of, id_), (_, text) in kept.items() if of == kind}

    async def list_items(self, kind: str) -> list[str]:
        found = await self.get_items(kind)
        return sorted(found, key=lambda id_: self._items[kind, id_][0])

    async def delete_item(self, kind: str, id_: str) -> None:
        self._items.pop((kind, id_), None)

    async def push_line(
        self, kind: str, text: bytes, limit: int, seconds: float
    ) -> None:
        lines = [text, *await self.read_lines(kind, limit - 1)]
        self._lists[kind] = time.monotonic() + seconds, lines

    async def read_lines(self, kind: str, limit: int) -> list[bytes]:
        until, lines = self._lists.get(kind, (0.0, []))
        return lines[:limit] if until > time.monotonic() else []
