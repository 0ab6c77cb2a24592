"""What clients are told over a real socket, and how they come back."""

import asyncio
import os
import signal
from functools import partial
from typing import Any
from uuid import uuid4

import pytest

from herald_core.errors import StoreUnreachable
from herald_core.model.gaps import Gap
from herald_core.model.workers.worker_reports import parse_worker
from herald_core.store.redis.store import RedisStore
from herald_core.store.types import TaskPage
from herald_server.push.connection.sender import Timeouts
from tests.support import validators
from tests.support.clients.websocket import Listener, at_end, connected
from tests.support.herald.server import Server, make_store, serving
from tests.support.journal import Journal
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = pytest.mark.anyio


@pytest.fixture
def url(module_valkey: PrivateValkey) -> str:
    return module_valkey.url


def _heard(client: Listener, frames: int) -> bool:
    return len(client.of("data")) >= frames


# -- what is told ------------------------------------------------------------------


FILTERS: dict[str, Any] = {
    "ids": ["hit", "other"],
    "name": "mail.s*",
    "state": ["started", "RETRY"],
    "worker": "w1@*",
    "queue": "fast",
    "root": "tree",
    "parent": "mother",
    "group": "team",
    "tag": "red",
}


@pytest.mark.parametrize("key", FILTERS)
async def test_each_filter_key_chooses_from_snapshot_and_changes(
    url: str, key: str
) -> None:
    about = {
        "name": "mail.send",
        "queue": "fast",
        "root_id": "tree",
        "parent_id": "mother",
        "group_id": "team",
        "tags": ("red", "green"),
    }
    async with serving(url) as server:
        await server.tell("sent", "hit", **about, host="client")
        await server.tell("sent", "miss", name="other", queue="slow", host="client")
        await server.tell("started", "hit")
        await server.tell("received", "miss", host="w2@h")
        async with connected(server) as client:
            journal = await client.subscribe(filter={key: FILTERS[key]})
            await wait_until_async(lambda: journal.cursor)
            assert list(journal.items) == ["hit"]
            before = journal.items["hit"]
            await server.tell("retried", "hit")
            await server.tell("started", "miss", host="w2@h")
            await server.tell("failed", "miss", host="w2@h")
            await server.tell("succeeded", "hit")
            gone = key == "state"
            await wait_until_async(lambda: journal.items.get("hit") != before)
            await wait_until_async(lambda: ("hit" not in journal.items) is gone)
            assert "miss" not in journal.items
            validators.kept(journal)


async def test_a_task_that_is_swept_is_deleted_on_every_client(url: str) -> None:
    store = make_store(url, retention=0.0)
    async with serving(url, store=store) as server, connected(server) as client:
        journal = await client.subscribe(filter={"state": "SUCCESS"})
        await server.tell("succeeded", "a")
        await wait_until_async(lambda: "a" in journal.items)
        await store.expire_tasks(now=4e9)
        await wait_until_async(lambda: not journal.items)


async def test_workers_and_counts_are_topics(url: str) -> None:
    async with serving(url) as server, connected(server) as client:
        await server.tell("received", "a", "b")
        workers = await client.subscribe("w", topic="workers")
        counts = await client.subscribe("c", topic="counts")
        await wait_until_async(lambda: workers.cursor and counts.cursor)
        assert [f["put"] for f in client.of("data") if f["id"] == "c"] == [
            [{"id": "RECEIVED", "count": 2}]
        ]
        raw = {"type": "worker-online", "hostname": "w1@h", "timestamp": 1.7e9}
        worker = parse_worker(raw, 1.7e9)
        assert worker is not None
        await server.store.store([], [worker], now=1.7e9)
        await wait_until_async(lambda: "w1@h" in workers.items)
        await server.tell("succeeded", "a")

        def counted() -> dict[str, int]:
            puts = [f["put"] for f in client.of("data") if f["id"] == "c"]
            return {one["id"]: one["count"] for put in puts for one in put}

        await wait_until_async(lambda: counted() == {"RECEIVED": 1, "SUCCESS": 1})


async def test_a_watch_on_ids_ends_with_done(url: str) -> None:
    async with serving(url) as server, connected(server) as client:
        await server.tell("succeeded", "a")
        await server.tell("started", "b")
        journal = await client.subscribe(filter={"ids": ["a", "b"]})
        await wait_until_async(lambda: journal.cursor)
        assert not client.of("done")
        await server.tell("failed", "b")
        await client.heard("done")
        assert journal.items == await server.revs()
        # Whoever comes back after the end is told so at once.
        async with connected(server) as later:
            await later.subscribe("all", journal, filter={"ids": ["a", "b"]})
            await later.heard("done")
            assert not later.of("data")


async def test_bookmarks_come_when_nothing_else_does(url: str) -> None:
    patience = Timeouts(heartbeat=0.1)
    async with serving(url, patience=patience) as server, connected(server) as client:
        journal = await client.subscribe(filter={"ids": ["never", "heard"]})
        await client.heard("cursor", 3)
        await server.beat()
        end = str(await server.store.read_end())
        await wait_until_async(lambda: journal.cursor == end)
        validators.kept(journal, bookmark_within=1.0)


async def test_stale_and_gaps_are_told(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("herald_server.push.log.log_reader.STALE_AFTER_S", 0.3)
    monkeypatch.setattr("herald_server.push.status.CHECK_INTERVAL_S", 0.05)
    async with serving(url) as server:
        await server.beat(lag_ms=7_000)
        async with connected(server) as client:
            await wait_until_async(lambda: client.of("status"))
            await server.beat(lag_ms=7_000)
            await wait_until_async(lambda: client.of("status")[-1]["stale"] is False)
            gap = Gap(
                id="g1",
                since="2026-01-01T00:00:00.000Z",
                until="2026-01-01T00:01:00.000Z",
                reason="the broker was away",
            )
            await server.store.open_gap(gap)
            await wait_until_async(lambda: client.of("status")[-1]["gaps"])
            told = client.of("status")[-1]
            assert told["gaps"][0]["reason"] == "the broker was away"
            assert 7_000 <= told["lag_ms"] < 10_000
            await wait_until_async(lambda: client.of("status")[-1]["stale"] is True)


def is_stale(client: Listener) -> bool | None:
    """Return whether a client was last told that what it has is outdated."""
    told = client.of("status")
    return bool(told[-1]["stale"]) if told else None


async def test_who_watches_is_told_that_no_monitor_hears_the_broker(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The monitor lives, so the log does not stand still; but nothing comes."""
    monkeypatch.setattr("herald_server.push.log.log_reader.STALE_AFTER_S", 60.0)
    monkeypatch.setattr("herald_server.push.status.CHECK_INTERVAL_S", 0.05)
    async with serving(url) as server, connected(server) as client:
        await server.beat(connected=True)
        await wait_until_async(lambda: is_stale(client) is False)
        await server.beat(connected=False)
        await wait_until_async(lambda: is_stale(client) is True)
        problem = client.of("status")[-1]["problem"]
        assert problem == "no monitor has been connected to the broker"
        await server.beat(connected=True)
        await wait_until_async(lambda: is_stale(client) is False)
        assert "problem" not in client.of("status")[-1]


async def test_who_watches_is_told_while_the_store_is_frozen(
    valkey: PrivateValkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is refused and nothing answers: that must not hold up the telling."""
    monkeypatch.setattr("herald_server.push.log.log_reader.STALE_AFTER_S", 1.0)
    monkeypatch.setattr("herald_server.push.status.CHECK_INTERVAL_S", 0.05)
    async with serving(valkey.url) as server, connected(server) as client:
        await server.beat()
        await wait_until_async(lambda: is_stale(client) is False)
        assert valkey.pid is not None
        os.kill(valkey.pid, signal.SIGSTOP)
        try:
            await wait_until_async(lambda: is_stale(client) is True, 30, "it is told")
        finally:
            os.kill(valkey.pid, signal.SIGCONT)


# -- resuming ----------------------------------------------------------------------


async def _work(server: Server, laps: int, tasks: int = 20) -> None:
    kinds = ("received", "started", "retried", "received", "started", "succeeded")
    for lap in range(laps):
        for i in range(tasks):
            await server.tell(kinds[(lap + i) % 6], f"t{i}", name=f"n{i % 3}")
        await asyncio.sleep(0)


async def test_cut_ten_times_and_resumed_nothing_is_missed_or_told_twice(
    url: str,
) -> None:
    async with serving(url) as server:
        await server.tell("received", *(f"t{i}" for i in range(20)), name="n")
        journals = [Journal("all"), Journal("some")]
        wishes: list[dict[str, Any]] = [{}, {"filter": {"state": ["STARTED"]}}]
        working = asyncio.create_task(_work(server, 12))
        for cut in range(10):
            async with connected(server) as client:
                for journal, wish in zip(journals, wishes, strict=True):
                    await client.subscribe(journal.sub, journal, **wish)
                frames = 1 + cut % 4
                await wait_until_async(partial(_heard, client, frames))
                client.socket.transport.abort()
        await working
        async with connected(server) as client:
            for journal, wish in zip(journals, wishes, strict=True):
                await client.subscribe(journal.sub, journal, **wish)
            await at_end(server, journals[0])
            for journal in journals:
                validators.kept(journal)
        first = journals[0].steps[0].frame
        resets = [s for s in journals[0].steps if s.frame.get("reset")]
        assert first["reset"] == "new"
        assert sum(s is not None for s in journals[0].since) >= 9, "it resumed"
        assert len(resets) <= 2, "and was spared fresh snapshots"


async def test_a_cursor_whose_history_is_gone_gets_a_reset(url: str) -> None:
    async with serving(url) as server:
        await server.tell("received", "a")
        for since in ("1700000000000-5", "99999999999999-1"):
            async with connected(server) as client:
                journal = Journal("all")
                journal.cursor = since
                await client.subscribe("all", journal)
                await at_end(server, journal)
                assert client.of("data")[0]["reset"] == "epoch"


async def test_a_flushed_store_is_told_as_a_reset(valkey: PrivateValkey) -> None:
    async with serving(valkey.url) as server, connected(server) as client:
        await server.tell("received", "a", "b")
        journal = await client.subscribe()
        await at_end(server, journal)
        with valkey.client() as redis:
            redis.flushall()
        await server.tell("received", "c")
        await wait_until_async(lambda: list(journal.items) == ["c"])
        assert client.of("data")[-1]["reset"] == "epoch"
        validators.kept(journal, final=await server.revs())


async def test_a_store_that_is_away_for_a_moment_costs_nothing(
    valkey: PrivateValkey,
) -> None:
    async with serving(valkey.url) as server, connected(server) as client:
        await server.tell("received", "a")
        journal = await client.subscribe()
        await at_end(server, journal)
        pid = valkey.pid
        assert pid is not None
        with valkey.client() as redis:
            redis.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        await server.tell("started", "a")
        await at_end(server, journal)
        validators.kept(journal)


class Faltering(RedisStore):
    """A store that does not answer the first `wrong` pages."""

    wrong = 2

    async def list_tasks(self, *args: Any, **options: Any) -> TaskPage:
        if self.wrong:
            self.wrong -= 1
            raise StoreUnreachable("it does not answer")
        return await super().list_tasks(*args, **options)


async def test_a_store_that_does_not_answer_is_asked_again_and_nobody_need_ask(
    url: str,
) -> None:
    store = Faltering(url, prefix=f"{{test-{uuid4().hex}}}")
    async with serving(url, store=store) as server, connected(server) as client:
        await server.tell("received", "t")
        journal = await client.subscribe()
        await wait_until_async(lambda: journal.cursor)
        await at_end(server, journal)
        assert client.of("error") == []
        assert store.wrong == 0
        validators.kept(journal)
