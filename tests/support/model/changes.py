"""Changes and entries as the log has them, and what a session says, decoded."""

from __future__ import annotations

from typing import Any

import msgspec

from herald_core.model.changes import TASK, WORKER, Change, LogEntry
from herald_core.model.codec import to_json
from herald_core.model.cursor import Cursor
from herald_core.model.filters import Filter, PreviousValues
from herald_core.model.tasks.views import FINAL_STATES, TaskView
from herald_server.auth.quotas.counters import PushMetrics
from herald_server.push.log.hub import Hub
from herald_server.push.protocol.limits import Limits
from herald_server.push.session.session import Session
from herald_server.push.session.subscription import ReadRequest, SnapshotRow

EPOCH = 1_800_000_000_000


def at(n: int) -> Cursor:
    """Return the place of entry `n`."""
    return Cursor(EPOCH, n)


def image(id_: str, state: str, **fields: Any) -> TaskView:
    """Return a task as it is shown."""
    return TaskView(id=id_, state=state, final=state in FINAL_STATES, **fields)


def change(
    n: int,
    id_: str = "a",
    state: str = "STARTED",
    was: str | None = None,
    number: int = 0,
    gone: bool = False,
    **fields: Any,
) -> Change:
    """Return the change of a task in entry `n`; `was` is its state before."""
    rev = f"{at(n)}.{number}"
    task = image(id_, state, **fields)
    json = b"" if gone else to_json(msgspec.structs.replace(task, rev=rev))
    before = (
        PreviousValues(was, fields.get("worker"), fields.get("queue")) if was else None
    )
    return Change(TASK, id_, rev, (at(n), number), json, task, before)


def worker(n: int, id_: str, gone: bool = False) -> Change:
    """Return the change of a worker in entry `n`."""
    json = b"" if gone else to_json({"id": id_, "rev": f"{at(n)}.0"})
    return Change(WORKER, id_, f"{at(n)}.0", (at(n), 0), json)


def row(n: int, id_: str, state: str = "STARTED", **fields: Any) -> SnapshotRow:
    """Return a row of a snapshot, last changed in entry `n`."""
    rev = f"{at(n)}.0"
    task = msgspec.structs.replace(image(id_, state, **fields), rev=rev)
    return id_, rev, to_json(task), task.final


STARTED = Filter(state=("STARTED",))


class Desk:
    """A session over a hub, and what it said."""

    def __init__(self, pos: int = 10, heartbeat: float = 15.0, **limits: Any) -> None:
        self.hub = Hub()
        self.hub.pos = at(pos)
        self.woken = 0
        self.now = 100.0
        self.tally = PushMetrics()
        self.session = Session(
            self.hub, self._wake, Limits(**limits), heartbeat, self.tally
        )

    def _wake(self) -> None:
        self.woken += 1

    def say(self, **said: Any) -> None:
        """Say something as the client."""
        self.session.receive(msgspec.json.encode(said), self.now)

    def subscribe(self, id_: str = "s", **wish: Any) -> ReadRequest | None:
        """Subscribe; return what is to be read for it."""
        self.say(type="subscribe", id=id_, **wish)
        if not self.session.read_requests:
            return None
        read = self.session.read_requests.pop(0)
        read.sub.resume(self.hub.pos)
        return read

    def live(self, id_: str = "s", *rows: SnapshotRow, **wish: Any) -> None:
        """Subscribe, and read the snapshot at once."""
        read = self.subscribe(id_, **wish)
        assert read is not None
        self.session.on_page(read, rows)
        self.session.on_snapshot_end(read, self.hub.pos)
        self.data()

    def publish(self, n: int, *changes: Change) -> None:
        """Let entry `n` come from the log."""
        self.hub.publish(LogEntry(at(n), changes))

    def control(self) -> list[dict[str, Any]]:
        """Return what is to be sent at once."""
        return [
            msgspec.json.decode(frame) for frame in self.session.take_control_frames()
        ]

    def data(self) -> list[dict[str, Any]]:
        """Return what is to be sent now, revs left out."""
        said = [msgspec.json.decode(f) for f in self.session.take_data_frames(self.now)]
        for frame in said:
            for item in frame.get("put", ()):
                item.pop("rev", None)
                item.pop("final", None)
        return said


def told(
    put: list[tuple[str, str]] | None = None,
    n: int | None = None,
    sub: str = "s",
    gone: list[str] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """Return the data frame that is expected."""
    items = [{"id": id_, "state": state} for id_, state in put or ()]
    cursor = {} if n is None else {"cursor": str(at(n))}
    left = {"del": gone} if gone else {}
    return {"type": "data", "id": sub, "put": items, **left, **cursor, **more}
