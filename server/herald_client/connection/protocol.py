"""Client side of `herald.v1` as a state machine: frames in, changes out. No I/O.

Changes are held back until the cursor that completes them, so that what was returned is
always complete up to `cursor`. A connection may break at any time, and no change is
returned twice or in part.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Generic, TypeVar, cast

import msgspec

from herald_client.errors import ServerProblem
from herald_client.models.changes import Change, Gone, Put, Reset
from herald_core.model.gaps import OPEN, UNREPAIRABLE, Gap

T = TypeVar("T")

SUBSCRIPTION_ID = "watch"
"""Constant, because each watch has its own connection."""


class ConnectionLost(Exception):
    """The connection ended; reconnecting may help, after `wait` seconds."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after_s = wait


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


class _CloseNotice(msgspec.Struct):
    reconnect_in_ms: float = 0


class _Status(msgspec.Struct):
    stale: bool = False
    gaps: list[Gap] = []
    problem: str = ""


class SubscriptionProtocol(Generic[T]):
    """One subscription, across any number of connections.

    All changes up to `cursor` were returned. `notes` are messages about the freshness
    of the data; the reader empties the list.
    """

    def __init__(
        self, wish: Mapping[str, object], image: type[T], since: str | None = None
    ) -> None:
        self._subscribe = wish
        self._decoder = msgspec.json.Decoder(_Data[image])  # type: ignore[valid-type]
        self._pending: list[Change[T]] = []
        self._positions = since is not None
        self._stale = False
        self._gaps: set[str] = set()
        self.cursor = since
        self.done = False
        self.notes: list[str] = []

    def begin(self) -> str:
        """Start on a new connection; return the frame to send."""
        self._pending.clear()
        wish = {**self._subscribe, "type": "subscribe", "id": SUBSCRIPTION_ID}
        if self.cursor is not None:
            wish["since"] = self.cursor
        return msgspec.json.encode(wish).decode()

    def receive(self, text: str | bytes) -> list[Change[T]]:
        """Return the changes that the frame `text` completes.

        Raises `ServerProblem` if retrying cannot help, else `ConnectionLost`.
        """
        try:
            return self._receive(text, msgspec.json.decode(text, type=_Kind).type)
        except msgspec.MsgspecError as error:
            raise ServerProblem(
                f"the server sent what this client cannot read ({error}); "
                "bring both to the same version",
                "bad_frame",
            ) from error

    def _receive(self, text: str | bytes, kind: str) -> list[Change[T]]:
        match kind:
            case "data" | "cursor":
                return self._add_data(self._decoder.decode(text))
            case "done":
                self.done = True
            case "error":
                _raise_error(msgspec.json.decode(text, type=_Error))
            case "bye":
                bye = msgspec.json.decode(text, type=_CloseNotice)
                raise ConnectionLost("the server restarts", bye.reconnect_in_ms / 1000)
            case "status":
                self._note_status(msgspec.json.decode(text, type=_Status))
            case _:
                pass  # of a later version
        return []

    def _add_data(self, data: _Data[T]) -> list[Change[T]]:
        if data.reset:
            self._pending = [Reset(data.reset)] if self._positions else []
        self._pending += [Gone(id_) for id_ in data.gone]
        # An id occurs once in a frame, so the order is free: it is that of time.
        self._pending += [Put(image) for image in sorted(data.put, key=_get_rev)]
        if data.cursor is None:
            return []
        self.cursor, self._positions = data.cursor, True
        whole, self._pending = self._pending, []
        return whole

    def _note_status(self, status: _Status) -> None:
        """Record changes of staleness and gaps as messages."""
        if status.stale != self._stale:
            why = status.problem or "no monitor has spoken for some seconds"
            self.notes.append(
                f"what is shown may be outdated: {why}"
                if status.stale
                else "what is shown is up to date again"
            )
        self._stale = status.stale
        for gap in status.gaps:
            if gap.state == OPEN and gap.id not in self._gaps:
                self._gaps.add(gap.id)
                self.notes.append(
                    f"events since {gap.since} may be missing ({gap.reason}); "
                    "Herald is repairing"
                )
            elif gap.state == UNREPAIRABLE and gap.id in self._gaps:
                self._gaps.discard(gap.id)
                self.notes.append(
                    f"not all could be repaired since {gap.since}. {gap.unrepaired}"
                )


def _get_rev(image: object) -> tuple[int, ...]:
    """Return the position in the log at which `image` changed; a rev is `E-n.i`."""
    if isinstance(image, dict):
        rev: str = cast(dict[str, str], image).get("rev", "")
    else:
        rev = getattr(image, "rev", None) or ""
    return tuple(int(n) for n in re.split("[-.]", rev) if n.isdecimal())


def _raise_error(error: _Error) -> None:
    if error.retry:
        raise ConnectionLost(error.message)
    raise ServerProblem(error.message, error.code)
