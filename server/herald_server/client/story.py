"""The client's side of `herald.v1` as a state machine: frames in, changes out. No I/O.

Changes are held back until the cursor that completes them, so that what was
told is always complete up to `cursor`: a connection may break anywhere, and
nothing is told twice, or half.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Generic, TypeVar

import msgspec

from herald_monitor.store import Gap
from herald_server.client.changes import Change, Gone, Put, Reset
from herald_server.client.errors import ServerProblem

T = TypeVar("T")

SUB = "watch"
"""Each watch has a connection of its own, so one name will do."""


class Cut(Exception):
    """A connection that ended; another may do better, after `wait` seconds."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


class _Kind(msgspec.Struct):
    type: str


class _Data(msgspec.Struct, Generic[T]):
    put: list[T] = []
    gone: list[str] = msgspec.field(name="del", default_factory=list[str])
    reset: str = ""
    cursor: str | None = None


class _Error(msgspec.Struct):
    code: str = ""
    message: str = ""
    retry: bool = False


class _Bye(msgspec.Struct):
    reconnect_in_ms: float = 0


class _Status(msgspec.Struct):
    stale: bool = False
    gaps: list[Gap] = []
    problem: str = ""


class Story(Generic[T]):
    """One subscription, over as many connections as it takes.

    `cursor` is up to where all is told. `notes` are sentences about how far
    what is told can be trusted; whoever reads them empties the list.
    """

    def __init__(
        self, wish: Mapping[str, object], image: type[T], since: str | None = None
    ) -> None:
        self._wish = wish
        self._decoder = msgspec.json.Decoder(_Data[image])  # type: ignore[valid-type]
        self._pending: list[Change[T]] = []
        self._told = since is not None
        self._stale = False
        self._gaps: set[str] = set()
        self.cursor = since
        self.done = False
        self.notes: list[str] = []

    def begin(self) -> str:
        """Start over on a new connection; return the frame to send."""
        self._pending.clear()
        wish = {**self._wish, "type": "subscribe", "id": SUB}
        if self.cursor is not None:
            wish["since"] = self.cursor
        return msgspec.json.encode(wish).decode()

    def hear(self, text: str | bytes) -> list[Change[T]]:
        """Return the changes that the frame `text` completes.

        Raises `ServerProblem` where asking again is of no use, else `Cut`.
        """
        try:
            return self._hear(text, msgspec.json.decode(text, type=_Kind).type)
        except msgspec.MsgspecError as error:
            raise ServerProblem(
                f"the server sent what this client cannot read ({error}); "
                "bring both to the same version",
                "bad_frame",
            ) from error

    def _hear(self, text: str | bytes, kind: str) -> list[Change[T]]:
        match kind:
            case "data" | "cursor":
                return self._take(self._decoder.decode(text))
            case "done":
                self.done = True
            case "error":
                _complain(msgspec.json.decode(text, type=_Error))
            case "bye":
                bye = msgspec.json.decode(text, type=_Bye)
                raise Cut("the server restarts", bye.reconnect_in_ms / 1000)
            case "status":
                self._weigh(msgspec.json.decode(text, type=_Status))
            case _:
                pass  # of a later version
        return []

    def _take(self, data: _Data[T]) -> list[Change[T]]:
        if data.reset:
            self._pending = [Reset(data.reset)] if self._told else []
        self._pending += [Gone(id_) for id_ in data.gone]
        # Ids stand once in a frame, so its order is free: we take that of time.
        self._pending += [Put(image) for image in sorted(data.put, key=_place)]
        if data.cursor is None:
            return []
        self.cursor, self._told = data.cursor, True
        whole, self._pending = self._pending, []
        return whole

    def _weigh(self, status: _Status) -> None:
        """Note what became different in how far Herald can be trusted."""
        if status.stale != self._stale:
            why = status.problem or "no monitor has spoken for some seconds"
            self.notes.append(
                f"what is shown may be outdated: {why}"
                if status.stale
                else "what is shown is up to date again"
            )
        self._stale = status.stale
        for gap in status.gaps:
            if gap.state == "open" and gap.id not in self._gaps:
                self._gaps.add(gap.id)
                self.notes.append(
                    f"events since {gap.since} may be missing ({gap.reason}); "
                    "Herald is repairing"
                )


def _place(image: object) -> tuple[int, ...]:
    """Return when in the log `image` became so; a rev is `E-n.i`."""
    rev: str = getattr(image, "rev", None) or ""
    return tuple(int(n) for n in re.split("[-.]", rev) if n.isdecimal())


def _complain(error: _Error) -> None:
    if error.retry:
        raise Cut(error.message)
    raise ServerProblem(error.message, error.code)
