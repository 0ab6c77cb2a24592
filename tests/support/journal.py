"""What a client of one subscription heard: the material of the validators."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from herald_core.model.cursor import Cursor
from herald_core.model.vector_cursor import parse_any_cursor

Place = tuple[Cursor, int]
Frame = Mapping[str, Any]


class Step(NamedTuple):
    """A frame as it was heard: on which connection, when, and what it did.

    `items` (id → rev) and `cursor` are the client's, after it.
    """

    connection: int
    at: float
    frame: Frame
    items: dict[str, str]
    cursor: str | None


class Journal:
    """What a client of one subscription heard, over all of its connections."""

    def __init__(self, sub: str = "all") -> None:
        self.sub = sub
        self.items: dict[str, str] = {}
        self.cursor: str | None = None
        self.since: list[str | None] = []
        """Of each connection, the cursor that it resumed from."""
        self.steps: list[Step] = []
        self._known = False

    def open(self) -> dict[str, Any]:
        """Begin a connection; return what to add to the `subscribe` frame."""
        self.since.append(self.cursor)
        self._known = False
        return {} if self.cursor is None else {"since": self.cursor}

    def acknowledge(self) -> None:
        """Note that the server knows of the subscription: it answered a later ping."""
        self._known = True

    def hear(self, frame: Frame, at: float = 0.0) -> None:
        """Do as every client does, and write it down."""
        mine = frame.get("id") == self.sub and frame["type"] == "data"
        if mine:
            self._known = True
            if frame.get("reset"):
                self.items, self.cursor = {}, None
            for item in frame["put"]:
                self.items[item["id"]] = item.get("rev", "")
            for id_ in frame.get("del", ()):
                self.items.pop(id_, None)
        if frame.get("cursor") and self._known:
            self.cursor = frame["cursor"]
        elif not mine:
            return
        shown = frame if mine else {"type": "cursor", "cursor": frame["cursor"]}
        self.steps.append(
            Step(len(self.since), at, shown, dict(self.items), self.cursor)
        )


def place(rev: str) -> Place:
    """Return the place in the log that `rev` names."""
    cursor, _, number = rev.partition(".")
    return parse_any_cursor(cursor), int(number or 0)
