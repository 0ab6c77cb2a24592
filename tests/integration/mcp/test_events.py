"""The extension `io.modelcontextprotocol/events`: occurrences, cursors, streams."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import msgspec
import pytest

from herald_core.model.cursor import Cursor
from herald_core.model.events.event import Event
from herald_core.settings import MonitorSettings
from herald_core.store.factory import make_store
from herald_core.store.memory.store import MemoryStore
from herald_core.store.ports import Store
from herald_server.auth.identity import Identity
from herald_server.mcp.events import extension
from herald_server.mcp.events.models import EVENT_TYPES, parse_position
from herald_server.mcp.events.poll import EventQuery, EventsParams, poll_log
from herald_server.push.log.tail import LogPosition, read_log
from tests.support.clients.mcp_json import Wire
from tests.support.herald.mcp_environment import SNAPSHOT, House, house, over_http
from tests.support.servers.redis import private_valkey
from tests.support.wait import wait_until_async

pytestmark = pytest.mark.anyio

METHOD = "notifications/events/"


@asynccontextmanager
async def wire(*scopes: str) -> AsyncGenerator[tuple[House, Wire], None]:
    who = Identity("me", frozenset(scopes or ("read",)))
    async with (
        house() as made,
        over_http(made, {"me": who}) as url,
        httpx2.AsyncClient(headers={"Authorization": "Bearer me"}, timeout=30) as http,
    ):
        yield made, Wire(http, url)


async def polled(client: Wire, name: str, **params: Any) -> dict[str, Any]:
    """Return what a poll answers."""
    answer = await client("events/poll", name=name, **params)
    assert "result" in answer, answer
    result: dict[str, Any] = answer["result"]
    return result


async def refusal(client: Wire, method: str = "events/poll", **params: Any) -> Any:
    """Return the error of a request that is refused."""
    return (await client(method, **params))["error"]


# -- list and poll ---------------------------------------------------------------------


async def test_all_events_are_listed_as_an_experiment() -> None:
    async with wire() as (_, client):
        listed = (await client("events/list"))["result"]["events"]
        able = (await client("server/discover"))["result"]["capabilities"]
    assert [one["name"] for one in listed] == list(EVENT_TYPES)
    assert all(one["delivery"] == ["poll", "push"] for one in listed)
    assert "state" in listed[0]["inputSchema"]["properties"]
    assert able["extensions"][extension.EXTENSION_ID]["experimental"] is True


async def test_a_first_poll_begins_now_and_the_next_tells_what_came() -> None:
    async with wire() as (made, client):
        await made.started("before")
        first = await polled(client, "task.failed")
        await made.started("t1")
        await made.tell("failed", "t1", exception="ValueError('no')")
        told = await polled(client, "task.failed", cursor=first["cursor"])
        again = await polled(client, "task.failed", cursor=told["cursor"])
    assert (first["events"], first["truncated"], first["hasMore"]) == ([], False, False)
    (event,) = told["events"]
    assert (event["name"], event["data"]["id"]) == ("task.failed", "t1")
    assert event["data"]["exception"] == "ValueError('no')"
    assert event["timestamp"] == event["data"]["updated_at"]
    assert again["events"] == []


async def test_arguments_are_our_filter() -> None:
    async with wire() as (made, client):
        start = (await polled(client, "task.started"))["cursor"]
        await made.started("t1")
        await made.started("t2", "reports.daily")
        some = await polled(
            client, "task.started", cursor=start, arguments={"name": "reports.*"}
        )
        one = await polled(
            client, "task.started", cursor=start, arguments={"ids": ["t1"]}
        )
    assert [event["data"]["id"] for event in some["events"]] == ["t2"]
    assert [event["data"]["id"] for event in one["events"]] == ["t1"]


async def test_an_ending_is_told_once() -> None:
    async with wire() as (made, client):
        start = (await polled(client, "task.ended"))["cursor"]
        await made.started("t1")
        await made.progress("t1", 50, "half")
        await made.tell("succeeded", "t1")
        ended = await polled(client, "task.ended", cursor=start)
        changed = await polled(client, "task.changed", cursor=start)
    assert [event["data"]["state"] for event in ended["events"]] == ["SUCCESS"]
    assert len(changed["events"]) == 4


async def test_a_poll_is_bounded_and_goes_on_exactly_there() -> None:
    async with wire() as (made, client):
        cursor = (await polled(client, "task.received"))["cursor"]
        batch = [
            Event(kind="received", task_id=f"t{n}", at=1.0, host="h", clock=n, name="a")
            for n in range(7)
        ]
        await made.store.store(batch, now=2.0)
        seen: list[str] = []
        pages = 0
        while True:
            told = await polled(client, "task.received", cursor=cursor, maxEvents=3)
            seen += [event["eventId"] for event in told["events"]]
            cursor, pages = told["cursor"], pages + 1
            if not told["hasMore"]:
                break
    assert (len(seen), len(set(seen)), pages) == (7, 7, 3)


async def test_what_is_too_old_is_left_out_and_said_so() -> None:
    async with wire() as (made, client):
        start = (await polled(client, "task.received"))["cursor"]
        await made.store.store(
            [Event(kind="received", task_id="old", at=1.0, host="h", name="a")], now=2.0
        )
        await made.started("new")
        told = await polled(client, "task.received", cursor=start, maxAgeMs=60_000)
    assert [event["data"]["id"] for event in told["events"]] == ["new"]
    assert told["truncated"] is True


async def test_a_cursor_of_a_lost_history_starts_over_and_says_so() -> None:
    async with wire() as (made, client):
        await made.started("t1")
        told = await polled(client, "task.changed", cursor="99999999999999-7")
        end = str(await made.store.read_end())
    assert (told["truncated"], told["events"], told["cursor"]) == (True, [], end)


# -- refusals --------------------------------------------------------------------------


async def test_what_is_refused() -> None:
    async with wire() as (_, client):
        unknown = await refusal(client, name="task.fail")
        streamed = await refusal(client, "events/stream", name="")
        cursor = await refusal(client, name="task.failed", cursor="soon")
        key = await refusal(client, name="task.failed", arguments={"stat": "FAILURE"})
        many = await refusal(client, name="task.failed", maxEvents=501)
        webhook = await refusal(client, "events/subscribe", name="task.failed")
    assert unknown["code"] == streamed["code"] == extension.NOT_FOUND_CODE
    assert unknown["data"] == {"kind": "event"}
    assert "did you mean task.failed" in unknown["message"]
    assert (cursor["code"], key["code"], many["code"]) == (-32602,) * 3
    assert "did you mean 'state'" in key["message"]
    assert webhook["code"] == extension.UNSUPPORTED_CODE


@pytest.mark.parametrize("method", ["list", "poll", "stream", "subscribe"])
async def test_who_may_not_read_hears_nothing(method: str) -> None:
    async with wire("start") as (_, client):
        error = await refusal(client, f"events/{method}", name="task.failed")
    assert error["code"] == extension.FORBIDDEN_CODE


async def test_too_many_streams_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extension, "MAX_STREAMS", 1)
    async with (
        wire() as (_, client),
        client.stream("events/stream", name="task.failed") as following,
    ):
        await following()
        error = await refusal(client, "events/stream", name="task.failed")
    assert error["code"] == extension.EXHAUSTED_CODE


# -- streams ---------------------------------------------------------------------------


async def test_a_stream_tells_what_happens_and_is_resumed_where_it_broke_off() -> None:
    wanted: dict[str, Any] = {"name": "task.ended", "arguments": {"name": SNAPSHOT}}
    async with wire() as (made, client):
        async with client.stream("events/stream", **wanted) as following:
            active = await following()
            await made.started("t1")
            await made.tell("succeeded", "t1")
            first = await following()
        await made.started("t2")
        await made.tell("failed", "t2")
        await made.started("t3", "another")
        await made.tell("failed", "t3")
        cursor = first["params"]["cursor"]
        async with client.stream("events/stream", **wanted, cursor=cursor) as following:
            again = await following()
            second = await following()
            await made.started("t4")
            await made.tell("revoked", "t4")
            third = await following()
        await wait_until_async(lambda: not made.hub.count_subscribers())
    assert active["method"] == again["method"] == f"{METHOD}active"
    assert active["params"]["truncated"] is False
    assert active["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"] == 1
    told = [one["params"] for one in (first, second, third)]
    assert [one["data"]["id"] for one in told] == ["t1", "t2", "t4"]
    assert {one["name"] for one in told} == {"task.ended"}
    assert len({one["eventId"] for one in told}) == 3


async def test_a_quiet_stream_says_that_it_lives() -> None:
    async with wire() as (made, client):
        made.door.events.heartbeat = 0.05
        async with client.stream("events/stream", name="task.lost") as following:
            await following()
            await made.started("t1")
            beat = await following()
            while beat["params"]["cursor"] != str(made.hub.pos):
                beat = await following()
    assert beat["method"] == f"{METHOD}heartbeat"


async def test_a_stream_says_when_history_was_lost() -> None:
    async with wire() as (made, client):
        await made.started("t1")
        gone = "99999999999999-7"
        async with client.stream(
            "events/stream", name="task.changed", cursor=gone
        ) as following:
            await following()
            told = (await following())["params"]
            await made.tell("succeeded", "t1")
            event = (await following())["params"]
    assert told["truncated"] is True
    assert event["data"]["state"] == "SUCCESS"


async def test_streams_end_when_the_server_is_about_to_stop() -> None:
    async with (
        wire() as (made, client),
        client.stream("events/stream", name="task.changed") as following,
    ):
        await following()
        await made.door.shutdown()
        last = await following()
        answer = await following()
    assert last["method"] == f"{METHOD}terminated"
    assert answer["result"]["resultType"] == "complete"


async def test_a_stream_that_falls_behind_misses_nothing() -> None:
    """More entries than a stream keeps come at once: the rest is read from the log."""
    async with (
        wire() as (made, client),
        client.stream("events/stream", name="task.received") as following,
    ):
        await following()
        await asyncio.gather(
            *(made.tell("received", f"t{n}", name="a") for n in range(500))
        )
        seen = [(await following())["params"]["data"]["id"] for _ in range(500)]
    assert sorted(seen) == sorted(f"t{n}" for n in range(500))


# -- places ----------------------------------------------------------------------------


def test_places_are_written_and_read() -> None:
    for text in ("5-7", "5-7.0", "5-7.12"):
        assert str(parse_position(text)) == text


@pytest.mark.parametrize("text", ["", "5", "5-", "5-7.", "5-7.x", "5-7.-1", "5-7.²"])
async def test_what_is_no_place_is_refused(text: str) -> None:
    async with wire() as (_, client):
        error = await refusal(client, name="task.failed", cursor=text)
    assert "is no cursor" in error["message"]


@asynccontextmanager
async def stored(kind: str) -> AsyncGenerator[Store, None]:
    """Open a store of its own for a test."""
    if kind == "memory":
        yield MemoryStore()
        return
    with private_valkey() as server:
        store = make_store(MonitorSettings(store_url=server.url))
        await store.open()
        try:
            yield store
        finally:
            await store.close()


@pytest.mark.parametrize("kind", ["memory", "valkey"])
async def test_a_place_within_an_entry_leaves_only_the_rest_of_it(kind: str) -> None:
    batch = [
        Event(kind="received", task_id=f"t{n}", at=1.0, host="h", clock=n, name="a")
        for n in range(3)
    ]
    async with stored(kind) as store:
        end = await store.read_end()
        # The first entry of an epoch, and the next one.
        for number in range(2):
            fresh = [
                msgspec.structs.replace(e, task_id=f"{number}-{e.task_id}")
                for e in batch
            ]
            end = (await store.store(fresh, now=2.0)).cursor
            rest = await read_log(store, LogPosition(end, 0))
            assert [change.place[1] for change, _ in rest.changes] == [1, 2]
            assert (rest.end, rest.lost) == (LogPosition(end), "")
        beyond = await read_log(store, LogPosition(Cursor(end.epoch, end.n + 5)))
        other = await read_log(store, LogPosition(Cursor(end.epoch - 9, 3), 1))
    assert (beyond.end, beyond.lost) == (LogPosition(end), "epoch")
    assert (other.end, other.lost) == (LogPosition(end), "epoch")
    assert len(list(other.changes)) == 6


async def test_polls_over_several_logs_meet_each_occurrence_once() -> None:
    """One occurrence a poll, while more come: each place is within an entry."""
    wish = EventQuery(EventsParams.model_validate({"name": "task.changed"}))
    with private_valkey() as server:
        settings = MonitorSettings(store_url=server.url, partitions=3)
        store = make_store(settings)
        await store.open()
        at, told, number, more = (
            LogPosition(await store.read_end()),
            list[str](),
            0,
            True,
        )
        while more:
            if number < 6:
                batch = [
                    Event(kind="received", task_id=f"{number}-{n}", at=1.0, host="h")
                    for n in range(7)
                ]
                await store.store(batch, now=2.0)
                number += 1
            found = await poll_log(store, wish, parse_position(str(at)), limit=1)
            told += [event["data"]["id"] for event in found.events]
            at, more = found.at, found.more
        await store.close()
    assert sorted(told) == sorted(f"{i}-{n}" for i in range(6) for n in range(7))
