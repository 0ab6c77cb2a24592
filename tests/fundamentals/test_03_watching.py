"""How Herald tells: a snapshot, then changes, and a cursor to go on from.

No sockets: a session is frames in, frames out. What a server does with it is
written out in `Client.pump`.
"""

import json
import time
from typing import Any

import pytest

from herald_core.model.events.event import Event
from herald_core.store.memory.store import MemoryStore
from herald_server.push.log.hub import Hub
from herald_server.push.log.log_reader import LogReader
from herald_server.push.session.session import Session
from herald_server.push.session.snapshots import SnapshotReader

pytestmark = pytest.mark.anyio


class House:
    """A store and a server process's view of it."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.hub = Hub()
        self.feed = LogReader(self.store, self.hub)
        self.library = SnapshotReader(self.store, self.hub, self.feed)
        self._clock = 0

    async def hear(self, kind: str, task_id: str) -> None:
        """Store an event and let the hub know, as monitor and feed do."""
        self._clock += 1
        event = Event(
            kind=kind,
            task_id=task_id,
            at=time.time(),
            host="w@one",
            pid=7,
            clock=self._clock,
            retries=0 if kind == "received" else None,
        )
        await self.store.store([event], now=time.time())
        for entry in await self.store.read_entries(self.hub.pos):
            self.hub.publish(entry)


class Client:
    """The thirteen lines of the quickstart, in Python."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.session = Session(house.hub, lambda: None)
        self.tasks: dict[str, str] = {}
        self.cursor: str | None = None
        self.frames: list[dict[str, Any]] = []

    async def subscribe(self, **wish: object) -> None:
        """Subscribe, and take what comes at once."""
        said = {"type": "subscribe", "id": "mine", **wish}
        self.session.receive(json.dumps(said), now=0.0)
        await self.pump()

    async def pump(self) -> None:
        """Do what a server does for a connection, once."""
        while self.session.read_requests:
            read = self.session.read_requests.pop(0)
            async for _ in self.house.library.fulfil(self.session, read):
                pass
        for frame in [
            *self.session.take_control_frames(),
            *self.session.take_data_frames(now=0.0),
        ]:
            self.take(json.loads(frame))

    def take(self, frame: dict[str, Any]) -> None:
        """Apply a frame."""
        self.frames.append(frame)
        if "reset" in frame:
            self.tasks.clear()
            self.cursor = None
        for task in frame.get("put", []):
            self.tasks[task["id"]] = task["state"]
        for task_id in frame.get("del", []):
            self.tasks.pop(task_id, None)
        self.cursor = frame.get("cursor", self.cursor)


async def test_first_what_is_then_what_changes() -> None:
    house = House()
    await house.hear("received", "a")
    client = Client(house)
    await client.subscribe(filter={})
    assert client.tasks == {"a": "RECEIVED"}
    await house.hear("started", "a")
    await client.pump()
    assert client.tasks == {"a": "STARTED"}


async def test_many_changes_are_one_frame() -> None:
    house = House()
    client = Client(house)
    await client.subscribe(filter={})
    seen = len(client.frames)
    for kind in ("received", "started", "succeeded"):
        await house.hear(kind, "a")
    await client.pump()
    assert len(client.frames) == seen + 1
    assert client.tasks == {"a": "SUCCESS"}


async def test_a_task_that_leaves_the_filter_is_taken_back() -> None:
    house = House()
    client = Client(house)
    await client.subscribe(filter={"state": "STARTED"})
    await house.hear("received", "a")
    await house.hear("started", "a")
    await client.pump()
    assert client.tasks == {"a": "STARTED"}
    await house.hear("succeeded", "a")
    await client.pump()
    assert client.tasks == {}


async def test_a_client_goes_on_where_it_broke_off() -> None:
    """On any server process: all of them read one log."""
    house = House()
    client = Client(house)
    await client.subscribe(filter={})
    await house.hear("received", "a")
    await client.pump()

    await house.hear("started", "a")
    again = Client(house)
    again.tasks = client.tasks
    await again.subscribe(filter={}, since=client.cursor)
    assert again.tasks == {"a": "STARTED"}
    assert all("reset" not in frame for frame in again.frames)


async def test_a_watch_on_ids_ends_with_them() -> None:
    house = House()
    await house.hear("received", "a")
    client = Client(house)
    await client.subscribe(filter={"ids": ["a"]})
    await house.hear("succeeded", "a")
    await client.pump()
    assert client.frames[-1] == {"type": "done", "id": "mine"}


async def test_a_wrong_word_is_answered_with_a_sentence() -> None:
    client = Client(House())
    await client.subscribe(filter={"stat": "FAILURE"})
    (error,) = client.frames
    assert error["code"] == "bad_filter"
    assert "did you mean 'state'?" in error["message"]
