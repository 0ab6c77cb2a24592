"""The HTTP door's figures: queues, and what the minutes tell, on a real server."""

import time
from typing import Any

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from herald_core.model.documents import replace_with
from herald_core.model.events.event import Event
from herald_core.model.gaps import Gap
from herald_core.model.rollups.rollup import Rollup, merge_rollups
from herald_core.model.tasks.views import to_rfc3339
from herald_core.model.workers.queue import QueueView
from herald_core.store.memory.store import MemoryStore
from herald_server.api.observability import store_metrics
from herald_server.insight.stats.rollup_cache import RollupCache
from tests.support.celery.worker import AppFactory
from tests.support.clients.http import asking, refused
from tests.support.clients.websocket import at_end, connected
from tests.support.herald.server import Server, serving
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = pytest.mark.anyio


@pytest.fixture
def url(module_valkey: PrivateValkey) -> str:
    return module_valkey.url


def queue(name: str, **fields: Any) -> QueueView:
    """Return a queue as it is now."""
    return QueueView(id=name, name=name, as_of=to_rfc3339(time.time()), **fields)


# -- queues ------------------------------------------------------------------------


async def test_queues_are_told_without_what_is_not_known(url: str) -> None:
    since = to_rfc3339(time.time() - 30)
    async with serving(url) as server, asking(server) as ask:
        stray = queue("stray", depth=2, consumers=(), oldest_at=since)
        await server.store.store_queues([stray, queue("dark")], now=time.time())
        dark, told = (await ask.get("/api/v1/queues")).json()["queues"]
        assert dark.keys() == {"id", "name", "as_of", "rev"}
        assert (told["depth"], told["consumers"], told["stranded"]) == (2, [], True)
        assert 30 <= told["oldest_age"] < 60


async def test_a_watcher_of_queues_is_told_as_they_change(url: str) -> None:
    async with serving(url) as server, connected(server) as client:
        await server.store.store_queues([queue("a", depth=1)], now=time.time())
        journal = await client.subscribe("queues", topic="queues")
        await wait_until_async(lambda: "a" in journal.items)
        await server.store.store_queues([queue("a", depth=5)], now=time.time())

        def last() -> int:
            return int(client.of("data")[-1]["put"][0]["depth"])

        await wait_until_async(lambda: last() == 5)


async def test_a_subscriber_of_documents_gets_them_and_their_changes(url: str) -> None:
    async def store(data: dict[str, object]) -> None:
        updates = {"m": replace_with(data)}
        await server.store.update_documents(
            "marks", updates, now=time.time(), seconds=60
        )

    async with serving(url) as server, connected(server) as client:
        await store({"what": "deploy"})
        journal = await client.subscribe("marks", topic="marks")
        await wait_until_async(lambda: "m" in journal.items)
        await store({"what": "restart"})
        await wait_until_async(
            lambda: client.of("data")[-1]["put"][0]["what"] == "restart"
        )
        await server.store.delete_documents("marks", ["m"], now=time.time())
        await wait_until_async(lambda: "m" not in journal.items)


async def test_metrics_tell_of_the_worst_queues_only(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_metrics, "MAX_QUEUES", 2)
    queues = [
        queue("deep", depth=9, consumers=("w",)),
        queue("flat", depth=0, consumers=("w",)),
        queue("stray", depth=1, consumers=()),
    ]
    async with serving(url) as server, asking(server) as ask:
        await server.store.store_queues(queues, now=time.time())
        families = text_string_to_metric_families((await ask.get("/metrics")).text)
        found = {f.name: f.samples for f in families if "queue" in f.name}
        depths = {s.labels["queue"]: s.value for s in found["herald_queue_depth"]}
        assert depths == {"stray": 1, "deep": 9}
        consumers = found["herald_queue_consumers"]
        assert {s.labels["queue"]: s.value for s in consumers} == {
            "stray": 0,
            "deep": 1,
        }
        assert found["herald_queues_stranded"][0].value == 1
        assert found["herald_queue_oldest_age_seconds"] == [], "unknown is left out"


# -- what the minutes tell -----------------------------------------------------------


async def some_tasks(server: Server) -> None:
    """Tell of three tasks that succeeded, and two that failed."""
    ids = ["s1", "s2", "s3", "f1", "f2"]
    await server.tell("sent", *ids, name="shop.pay", queue="pay")
    await server.tell("received", *ids, name="shop.pay")
    await server.tell("started", *ids)
    await server.tell("succeeded", *ids[:3], runtime=2.0, result="1")
    await server.tell("failed", *ids[3:], exception="ValueError('no')")
    await server.tell("received", "other", name="other")


async def test_a_chart_is_counted_from_the_minutes(url: str) -> None:
    async with serving(url) as server, asking(server) as ask:
        await some_tasks(server)
        told = (await ask.get("/api/v1/stats/series?window=1h&name=shop.*")).json()
        assert (told["bin_seconds"], len(told["bins"]), told["whole"]) == (60, 60, True)
        # The minute may have just gone by.
        now = next(one for one in reversed(told["bins"]) if one["counts"])
        assert now["counts"]["succeeded"] == 3
        assert now["failure_rate"] == 0.4
        assert now["runtime"]["p95"] == pytest.approx(2.0, rel=0.1)
        of_queue = (await ask.get("/api/v1/stats/series?window=24h&queue=pay")).json()
        assert len(of_queue["bins"]) == 144
        assert sum(b["counts"].get("submitted", 0) for b in of_queue["bins"]) == 5


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("window=2h", "window must be one of 1h, 24h"),
        ("name=a&queue=b", "give name or queue, or neither"),
        ("state=SUCCESS", "give name or queue, or neither"),
        ("nam=a", "did you mean"),
    ],
)
async def test_a_chart_of_nothing_is_refused(
    url: str, query: str, sentence: str
) -> None:
    async with serving(url) as server, asking(server) as ask:
        refused(await ask.get(f"/api/v1/stats/series?{query}"), 400, sentence)


async def test_types_are_those_of_the_catalog_and_all_that_ran(
    url: str, project_app: AppFactory
) -> None:
    app = project_app(url)
    async with serving(url, celery=app) as server, asking(server) as ask:
        await some_tasks(server)
        types = (await ask.get("/api/v1/types")).json()["types"]
        assert [one["name"] for one in types[:2]] == ["shop.pay", "other"]
        assert (types[0]["failure_rate"], types[0]["counts"]["started"]) == (0.4, 5)
        snapshot = next(
            one for one in types if one.get("task_type") == "metrics_snapshot"
        )
        assert (snapshot["counts"], "runtime" in snapshot) == ({}, False)
        assert snapshot["startable"]
        # Registered, and not allowed.
        assert "startable" not in next(one for one in types if one["name"] == "add")


async def test_the_overview_answers_for_the_first_screen(url: str) -> None:
    async with serving(url) as server, asking(server) as ask:
        await some_tasks(server)
        await server.tell("started", "runs", name="slow")
        await server.beat()
        await server.store.store_queues(
            [queue("pay", depth=1, consumers=())], now=time.time()
        )
        [failed] = (await ask.get("/api/v1/failing")).json()["failing"]
        assert (failed["name"], failed["failed"]) == ("shop.pay", 2)
        told = (await ask.get("/api/v1/overview")).json()
        assert told["failing"] == [failed]
        named = next(one for one in told["names"] if one["name"] == "shop.pay")
        assert (named["failed"], named["ended"], named["runs"]) == (2, 5, 3)
        assert named["runtime"]["p99"] == pytest.approx(2.0, rel=0.1)
        assert told["counts"] == (await ask.get("/api/v1/stats")).json()["counts"]
        assert [task["id"] for task in told["running"]] == ["runs"]
        assert told["queues"][0]["stranded"]
        assert told["health"]["monitors"][0]["id"] == "m1"
        assert len(told["series"]["bins"]) == 60
        few = (await ask.get("/api/v1/overview?fields=total,counts")).json()
        # A slow machine may take longer for all this than the monitor beat.
        few.pop("stale", None)
        assert few == {"total": told["total"], "counts": told["counts"]}
        refused(await ask.get("/api/v1/overview?fields=totals"), 400, "not totals")


async def test_suspects_are_counted_before_they_are_cut(url: str) -> None:
    async with serving(url) as server, asking(server) as ask:
        ids = [f"lost-{number}" for number in range(130)]
        await server.tell("received", *ids)
        await server.tell("lost", *ids, source="inferred", exception="gone")
        told = (await ask.get("/api/v1/suspects")).json()
        assert (told["total"], told["counts"]) == (130, {"lost": 130})
        assert (len(told["suspects"]) < 130, told["whole"]) == (True, True)
        screen = (await ask.get("/api/v1/overview")).json()
        assert screen["suspects_total"] == 130


async def test_lost_tasks_are_suspects(url: str) -> None:
    async with serving(url) as server, asking(server) as ask:
        await server.tell("started", "gone", name="slow")
        await server.tell(
            "lost", "gone", source="inferred", exception="its worker died"
        )
        told = (await ask.get("/api/v1/suspects")).json()
        assert told["total"] == 1
        [suspect] = told["suspects"]
        assert (suspect["why"], suspect["task"]["id"]) == ("lost", "gone")


# -- how Herald fares ----------------------------------------------------------------


async def test_health_tells_of_the_notifier_itself(
    url: str, project_app: AppFactory
) -> None:
    now = time.time()
    gap = Gap(
        id="g",
        since=to_rfc3339(now - 90),
        until=to_rfc3339(now - 60),
        reason="cut",
        state="closed",
        missing=4,
        repaired=3,
    )
    old = msgspec.structs.replace(gap, id="old", until=to_rfc3339(now - 9_000))
    app = project_app(url, url)
    async with serving(url, celery=app) as server, asking(server) as ask:
        await server.store.open_gap(gap)
        await server.store.open_gap(old)
        counters = {"reconciler_repaired": 2, "reconciler_lost": 1}
        await server.beat(counters=counters, lag_ms=7)
        async with connected(server) as client:
            journal = await client.subscribe()
            await wait_until_async(lambda: journal.cursor)
            for number in range(5):
                await server.tell("started", f"t{number}")
                await at_end(server, journal)
            told = (await ask.get("/api/v1/health")).json()
            text = (await ask.get("/metrics")).text
        assert told["connections"] == 1
        push = told["push"]
        assert 1 <= push["p50_ms"] <= push["p95_ms"] <= push["p99_ms"] < 5_000
        assert push["count"] == 5
        assert told["gaps_last_hour"] == {
            "count": 1,
            "open": 0,
            "missing": 4,
            "repaired": 3,
            "unrepairable": 0,
        }
        assert (told["repairs"]["repaired"], told["repairs"]["lost"]) == (2, 1)
        assert (told["backend"]["kind"], told["backend"]["can_ask"]) == ("redis", True)
        [store] = told["store"]["servers"]
        assert store["used"] > 100_000
        assert store["server"].startswith("Valkey ")
        assert 'herald_push_latency_seconds{quantile="0.99"}' in text
        assert "herald_gaps_last_hour 1.0" in text
        assert 'herald_lately{word="started"} 5.0' in text


async def test_what_a_client_missed_is_no_slow_push(url: str) -> None:
    async with serving(url) as server:
        await server.tell("started", "seen")
        async with connected(server) as client:
            journal = await client.subscribe()
            await wait_until_async(lambda: journal.cursor)
        missed = Event(kind="received", task_id="missed", at=1.0, host="w")
        await server.store.store([missed], now=time.time())
        async with connected(server) as client:
            await client.subscribe(journal=journal)
            await wait_until_async(lambda: "missed" in journal.items)
        pushes = server.app.state.shared.metrics.pushes
        assert pushes.compute_percentiles(time.monotonic()) is None


# -- what is kept of the minutes -------------------------------------------------------


async def test_minutes_are_read_once_and_kept_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = CountingStore()
    minutes, now = RollupCache(store), time.time()
    await minutes.read_last(3_600, now)
    assert store.asked_for >= 86_400
    store.asked_for = 0.0
    await minutes.read_last(3_600, now)
    assert store.asked_for == 0
    monkeypatch.setattr("herald_server.insight.stats.rollup_cache.TTL_S", 0.0)
    await store.store([Event(kind="sent", task_id="1", at=now, host="c")], now=now)
    assert sum(m.counts["submitted"] for m in await minutes.read_last(3_600, now)) == 1
    assert 0 < store.asked_for < 600


async def test_the_sums_of_a_day_are_those_of_its_minutes() -> None:
    store, now = MemoryStore(), time.time()
    for ago in (80_000, 4_000, 400, 200, 1):
        told = Event(kind="sent", task_id=str(ago), at=now - ago, host="c", name="n")
        await store.store([told], now=now)
    minutes = RollupCache(store)
    day = await minutes.read_day(300, now)
    assert day.recent.counts["submitted"] in (2, 3), "the minute of the split counts"
    assert day.whole.names == {"n": {"submitted": 5}}
    assert merge_rollups(await minutes.read_last(86_400, now)).names == day.whole.names


class CountingStore(MemoryStore):
    """A store that notes for how many seconds of minutes it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked_for = 0.0

    async def read_rollups(self, since: float, until: float, **of: Any) -> list[Rollup]:
        self.asked_for += until - since
        return await super().read_rollups(since, until, **of)
