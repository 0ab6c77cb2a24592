"""Who comes back after much was told is read a bounded part of the log."""

import asyncio
import json

import pytest
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from tests.support import validators
from tests.support.clients.event_stream import streaming
from tests.support.clients.websocket import connected
from tests.support.herald.server import Server, make_store, serving
from tests.support.herald.uvicorn_server import TOKEN
from tests.support.journal import Journal
from tests.support.servers.redis import PrivateValkey
from tests.support.store.labs import Lab, all_changes
from tests.support.wait import wait_until_async

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(("size", "reset"), [(10, None), (8_000, "trimmed")])
async def test_too_many_bytes_of_changes_are_told_as_a_snapshot(
    module_valkey: PrivateValkey,
    monkeypatch: pytest.MonkeyPatch,
    size: int,
    reset: str | None,
) -> None:
    monkeypatch.setattr(
        "herald_server.push.session.snapshots.MAX_REPLAY_BYTES", 100_000
    )
    store = make_store(module_valkey.url)
    async with serving(module_valkey.url, store=store) as first:
        await first.tell("received", "before")
        since = str(await store.read_end())
        for n in range(30):
            await first.tell("failed", f"t{n}", exception="x" * size)
    # Another process remembers nothing of it.
    async with (
        serving(module_valkey.url, store=store) as second,
        connected(second) as client,
    ):
        told = await client.subscribe("s", since=since)
        await wait_until_async(lambda: len(told.items) >= 30)
        resets = [one.get("reset") for one in client.of("data")]
        assert resets[0] == reset
        assert {f"t{n}" for n in range(30)} <= {*told.items}


# -- who is cut again and again ----------------------------------------------------

FRAMES_A_CONNECTION = 3


async def work_in_batches(
    server: Server, journal: Journal, batches: int = 40
) -> list[tuple[str, str]]:
    """Store batches with one task that is in each; return (id, rev) of all changes.

    The client of `journal` has what was there before.
    """
    # Each partition of a store has begun its log then.
    await server.tell("received", "again", *(f"t{i}" for i in range(20)))
    before = await server.store.read_end()
    journal.cursor = str(before)
    for lap in range(batches):
        await server.tell("started" if lap % 2 else "retried", f"t{lap}", "again")
    return [(one.id, one.rev) async for one in all_changes(server.store, before)]


async def hear_some(server: Server, journal: Journal) -> None:
    """Resume, hear a few frames of data, and break the connection off."""
    heard = 0
    async with connect(
        server.ws,
        additional_headers={"Authorization": f"Bearer {TOKEN}"},
        subprotocols=[Subprotocol("herald.v1")],
        proxy=None,
    ) as socket:
        wish = {"type": "subscribe", "id": journal.sub, "mode": "events"}
        await socket.send(json.dumps({**wish, **journal.open()}))
        journal.acknowledge()
        while heard < FRAMES_A_CONNECTION and await is_behind(server, journal):
            frame = json.loads(await socket.recv())
            journal.hear(frame)
            heard += frame["type"] == "data"
        socket.transport.abort()


async def is_behind(server: Server, journal: Journal) -> bool:
    """Return True if the store has more than the client was told."""
    return str(await server.store.read_end()) != journal.cursor


def check_all_were_told(journal: Journal, changes: list[tuple[str, str]]) -> None:
    """Fail unless each change was told, in order, and only once up to a cursor."""
    validators.kept(journal)
    told = [
        (item["id"], item["rev"])
        for step in journal.steps
        for item in step.frame.get("put", ())
    ]
    assert set(told) == set(changes)
    assert len(told) < 1.5 * len(changes)


@pytest.mark.parametrize("partitions", [1, 3])
async def test_a_watcher_of_events_that_is_cut_again_and_again_gets_on(
    module_valkey: PrivateValkey, partitions: int
) -> None:
    store = Lab(module_valkey.url, partitions).make()
    async with serving(module_valkey.url, store=store) as server:
        journal = Journal("all")
        changes = await work_in_batches(server, journal)
        async with asyncio.timeout(30):
            while await is_behind(server, journal):
                await hear_some(server, journal)
        assert len(journal.since) > 10
        check_all_were_told(journal, changes)


async def test_a_stream_of_events_that_is_cut_again_and_again_gets_on(
    module_valkey: PrivateValkey,
) -> None:
    async with serving(module_valkey.url) as server:
        journal = Journal("events")
        changes = await work_in_batches(server, journal)
        async with asyncio.timeout(30):
            while await is_behind(server, journal):
                last_id = str(journal.cursor)
                async with streaming(
                    server.url, "mode=events", journal, last_id=last_id
                ) as stream:
                    await stream.heard("data", 1)
        check_all_were_told(journal, changes)
