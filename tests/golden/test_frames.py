"""What a client of each kind receives of a recorded stream, byte for byte."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import httpx2
import pytest

from tests.golden.comparison import compare
from tests.golden.product import ALERTS_LEASE, Event, Timeouts, log_position
from tests.support.golden.clients import (
    BEARER,
    RawSocket,
    event_stream,
    mask,
    websocket,
)
from tests.support.golden.stream import EPOCH, SENT, store_stream
from tests.support.herald.server import Server, make_store, serving, take_lease
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = pytest.mark.anyio

PREFIX = "{golden}"
FIRST = f"{EPOCH + 1}-0"
MIDDLE = f"{EPOCH + 1}-4"
OTHER_EPOCH = f"{EPOCH - 7}-3"

RETRIED = "b2cb736f-1983-4125-9767-c44ce2ceeb75"
LOST_SIGHT_OF = "b70108e0-12c8-4c47-b41a-ffb17e1d1b69"
"""A task of the recording that was killed with its worker."""

Scenario = Callable[[Server, RawSocket], Awaitable[None]]


@contextlib.asynccontextmanager
async def recorded(
    valkey: PrivateValkey, patience: Timeouts | None = None
) -> AsyncGenerator[Server]:
    """Serve a store that holds the stream."""
    client = valkey.client()
    client.flushall()
    client.hset(f"{PREFIX}:meta", "epoch", str(EPOCH))
    client.close()
    # The recording is old: after some seconds its alerts would be in the log as well.
    await take_lease(valkey.url, PREFIX, ALERTS_LEASE)
    store = make_store(valkey.url, PREFIX)
    async with serving(valkey.url, store=store, patience=patience) as server:
        await store_stream(store)
        end = str(await store.read_end())
        await wait_until_async(
            lambda: log_position(server.app) == end, message="the log was read"
        )
        yield server


async def tell(server: Server, kind: str, task_id: str) -> None:
    """Store an event about a task that Herald sent."""
    clock = ("received", "started", "succeeded").index(kind) + 1
    at = 1_795_329_000.0 + clock
    event = Event(
        kind=kind, task_id=task_id, at=at, host="w9@h", pid=9, clock=clock, runtime=1.5
    )
    await server.store.store([event], now=at)


def snapshot(**wish: Any) -> Scenario:
    """Return a client that subscribes, and receives what there is."""

    async def run(server: Server, client: RawSocket) -> None:
        await client.say(type="subscribe", id="s", **wish)
        await client.receive_until("data", "cursor")

    return run


async def done(server: Server, client: RawSocket) -> None:
    await client.say(type="subscribe", id="one", filter={"ids": [RETRIED]})
    await client.receive_until("done")


async def changes(server: Server, client: RawSocket) -> None:
    """Changes arrive; a task that leaves the filter is in `del`."""
    wish = {"state": ["STARTED", "PENDING"]}
    await client.say(type="subscribe", id="s", filter=wish, fields=["state", "name"])
    await client.receive_until("data", "cursor")
    for kind in ("received", "started", "succeeded"):
        await tell(server, kind, SENT[0])
        await client.receive_until("data", "cursor")


async def transitions(server: Server, client: RawSocket) -> None:
    await client.say(type="subscribe", id="s", mode="events", since=MIDDLE)
    while (await client.receive_until("data", "cursor"))["cursor"] != str(
        await server.store.read_end()
    ):
        pass
    await tell(server, "received", SENT[1])
    await client.receive_until("data", "cursor")


async def counts(server: Server, client: RawSocket) -> None:
    await client.say(type="subscribe", id="counts", topic="counts")
    await client.receive_until("data")


MISTAKES: tuple[dict[str, Any], ...] = (
    {"filter": {"stat": "x"}},
    {"filter": {"state": "BUSY"}},
    {"topic": "task"},
    {"mode": "all"},
    {"since": "yesterday"},
    {"fields": "state"},
    {"id": ""},
    {"type": "shout"},
    {"type": "unsubscribe", "id": "unknown"},
)


async def mistakes(server: Server, client: RawSocket) -> None:
    """Messages that cannot be taken are answered; the connection stays."""
    for wish in MISTAKES:
        await client.say(**{"type": "subscribe", "id": "s", **wish})
        await client.say(type="ping")
        await client.receive_until("pong")


async def small_messages(server: Server, client: RawSocket) -> None:
    await client.say(type="subscribe", id="s", limit=1, fields=["state"])
    await client.receive_until("data", "cursor")
    await client.say(type="unsubscribe", id="s")
    await client.say(type="ping")
    await client.receive_until("pong")


async def restart(server: Server, client: RawSocket) -> None:
    await server.app.state.sockets.announce_restart(1.0)
    await client.receive_until("bye")


SCENARIOS: dict[str, Scenario] = {
    "snapshot of the newest": snapshot(limit=3),
    "snapshot by name and state": snapshot(
        filter={"name": "capp.*", "state": ["FAILURE", "REVOKED"]}
    ),
    "snapshot by ids, of some fields": snapshot(
        filter={"ids": [LOST_SIGHT_OF, *SENT]}, fields=["id", "state", "tags"]
    ),
    "snapshot by group, root, parent and tag": snapshot(
        filter={"group": "group-of-herald", "tag": "tenant:7", "parent": SENT[0]}
    ),
    "snapshot of queues": snapshot(topic="queues"),
    "snapshot of workers": snapshot(topic="workers"),
    "resume with changes": snapshot(since=MIDDLE),
    "resume with changes and a filter": snapshot(
        since=FIRST, filter={"worker": "w1@h"}, fields=["state"]
    ),
    "reset: another epoch": snapshot(since=OTHER_EPOCH, limit=1),
    "done": done,
    "counts": counts,
    "mistakes": mistakes,
    "small messages": small_messages,
    "resume with every transition": transitions,
    "changes": changes,
    "restart": restart,
}
"""In this order on one server: the last ones change what is stored, or end it."""


async def test_frames_of_websockets_are_as_they_were(
    module_valkey: PrivateValkey,
) -> None:
    lines: list[str] = []
    async with recorded(module_valkey) as server:
        for name, scenario in SCENARIOS.items():
            async with websocket(server) as client:
                await scenario(server, client)
            lines += [f"# {name}", *client.lines, ""]
    compare("websocket.txt", "\n".join(lines))


async def test_a_quiet_websocket_gets_bookmarks(module_valkey: PrivateValkey) -> None:
    async with (
        recorded(module_valkey, Timeouts(heartbeat=0.2)) as server,
        websocket(server) as client,
    ):
        await client.say(type="subscribe", id="s", filter={"name": "nothing"})
        await client.receive_until("data", "cursor")
        await client.receive_until("cursor")
        compare("bookmark.txt", "\n".join([*client.lines, ""]))


STREAMS = {
    "snapshot of the newest": ("limit=2&fields=id,state", ""),
    "snapshot by name and state": ("name=capp.*&state=FAILURE,REVOKED", ""),
    "resume with the header": ("fields=state", MIDDLE),
    "resume with every transition": (f"mode=events&fields=state&since={MIDDLE}", ""),
    "reset: another epoch": ("limit=1&fields=state", OTHER_EPOCH),
}
"""Query, and Last-Event-ID."""


async def test_event_streams_are_as_they_were(module_valkey: PrivateValkey) -> None:
    lines: list[str] = []
    async with recorded(module_valkey) as server:
        end = str(await server.store.read_end())
        for name, (query, last_id) in STREAMS.items():
            headers = {"Last-Event-ID": last_id} if last_id else {}
            async with event_stream(server, query, **headers) as stream:
                await stream.receive_until(lambda line: line == f"id: {end}")
            lines += [f"# {name}: {query}", *stream.lines]
        query = f"ids={RETRIED}&fields=state"
        async with event_stream(server, query) as stream:
            await stream.receive_until(lambda line: line == "event: done")
        lines += [f"# done: {query}", *stream.lines]
        async with event_stream(server, "limit=1&fields=state") as stream:
            await stream.receive_until(lambda line: line == f"id: {end}")
            await server.app.state.streams.announce_restart(1.0)
            await stream.receive_until(lambda line: line == "event: bye")
        lines += ["# restart", *stream.lines]
    compare("event-stream.txt", "\n".join(lines))


POLLS = {
    "it has ended": RETRIED,
    "it has not ended": LOST_SIGHT_OF,
    "nobody heard of it": "no-such-task",
}


async def test_long_polls_are_as_they_were(module_valkey: PrivateValkey) -> None:
    lines: list[str] = []
    async with (
        recorded(module_valkey) as server,
        httpx2.AsyncClient(trust_env=False, headers=BEARER) as http,
    ):
        for name, id_ in POLLS.items():
            path = f"api/v1/tasks/{id_}/wait?timeout=0"
            answer = await http.get(server.url + path)
            lines += [f"# {name}: GET /{path}", str(answer.status_code)]
            lines += [mask(answer.text), ""]
    compare("long-poll.txt", "\n".join(lines))
