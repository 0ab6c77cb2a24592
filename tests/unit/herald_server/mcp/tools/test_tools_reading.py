"""The tools that look: changes, history, numbers, workers, reasons, estimates."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastmcp import Client

from herald_core.model.events.event import Event
from herald_core.model.tasks.views import to_rfc3339
from herald_core.model.workers.queue import QueueView
from tests.support.herald.mcp_environment import SNAPSHOT, House, call, house, refused
from tests.support.herald.memory_server import gone_worker, worker_of
from tests.support.wait import wait_until_async

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def opened() -> AsyncGenerator[tuple[House, Client[Any]], None]:
    async with house() as made, Client(made.door) as client:
        yield made, client


async def succeeded(made: House, task_id: str, runtime: float, name: str) -> None:
    """Tell of a task that ran for `runtime` seconds."""
    await made.tell("received", task_id, name=name, retries=0)
    await made.tell("started", task_id)
    await made.tell("succeeded", task_id, result="1", runtime=runtime)


async def watched(made: House) -> None:
    """Wait until somebody watches."""
    await wait_until_async(lambda: made.hub.count_subscribers(), 30)


# -- wait_for_changes ----------------------------------------------------------------


async def test_changes_begin_with_a_snapshot_and_go_on_from_its_cursor() -> None:
    async with opened() as (made, client):
        await made.started("old")
        first = await call(client, "wait_for_changes", timeout_s=0)
        waiting = asyncio.create_task(
            call(client, "wait_for_changes", cursor=first["cursor"])
        )
        await watched(made)
        await made.started("new")
        second = await asyncio.wait_for(waiting, 30)
        third = await call(
            client, "wait_for_changes", cursor=second["cursor"], timeout_s=0.05
        )
        assert made.hub.count_subscribers() == 0
    assert (first["reset"], [one["id"] for one in first["put"]]) == ("new", ["old"])
    assert (second["reset"], [one["id"] for one in second["put"]]) == (None, ["new"])
    assert (third["put"], third["del"], third["reset"]) == ([], [], None)
    assert third["cursor"]
    assert "Nothing changed" in third["message"]


async def test_what_leaves_a_filter_is_told_as_gone() -> None:
    asked = {"name": "app.*", "state": ["STARTED"]}
    async with opened() as (made, client):
        await made.started("t1")
        first = await call(client, "wait_for_changes", filter=asked)
        await made.tell("succeeded", "t1")
        told = await call(
            client, "wait_for_changes", filter=asked, cursor=first["cursor"]
        )
    assert [one["id"] for one in first["put"]] == ["t1"]
    assert (told["put"], told["del"]) == ([], ["t1"])


async def test_nothing_is_missed_between_two_calls() -> None:
    seen: dict[str, str] = {}
    async with opened() as (made, client):
        await made.started("before")
        first = await call(client, "wait_for_changes", newest=0)
        cursor = first["cursor"]

        async def work() -> None:
            for number in range(40):
                await succeeded(made, f"t{number}", 1.0, SNAPSHOT)
                await asyncio.sleep(0.002)

        working = asyncio.create_task(work())
        async with asyncio.timeout(30):
            while list(seen.values()).count("SUCCESS") < 40:
                told = await call(client, "wait_for_changes", cursor=cursor)
                assert told["reset"] is None
                seen |= {one["id"]: one["state"] for one in told["put"]}
                cursor = told["cursor"]
        await working
    assert first["put"] == []
    assert set(seen) == {f"t{number}" for number in range(40)}


async def test_an_outdated_cursor_is_answered_with_a_fresh_snapshot() -> None:
    async with opened() as (made, client):
        await made.started("t1")
        told = await call(client, "wait_for_changes", cursor="5-1")
    assert told["reset"] == "epoch"
    assert [one["id"] for one in told["put"]] == ["t1"]


async def test_ids_that_have_all_ended_are_done() -> None:
    async with opened() as (made, client):
        await succeeded(made, "t1", 1.0, SNAPSHOT)
        told = await call(client, "wait_for_changes", filter={"ids": ["t1"]})
    assert told["done"] is True
    assert told["put"][0]["state"] == "SUCCESS"


async def test_a_waiting_call_ends_when_the_server_is_about_to_stop() -> None:
    async with opened() as (made, client):
        first = await call(client, "wait_for_changes")
        waiting = asyncio.create_task(
            call(client, "wait_for_changes", cursor=first["cursor"])
        )
        await watched(made)
        await made.door.shutdown()
        told = await asyncio.wait_for(waiting, 30)
    assert told["put"] == []


# -- history -----------------------------------------------------------------------


async def test_tasks_are_listed_by_any_mix_page_by_page() -> None:
    async with opened() as (made, client):
        for number in range(5):
            await made.started(f"t{number}")
        await made.tell("failed", "t1", exception="ValueError('no')")
        await made.tell("failed", "t3", exception="ValueError('no')")
        await made.started("other", "shop.pay")
        failed = await call(
            client, "list_tasks", task_type="metrics_snapshot", state="failure"
        )
        first = await call(client, "list_tasks", name="app.*", limit=3)
        second = await call(
            client, "list_tasks", name="app.*", limit=3, page=first["next"]
        )
        today = to_rfc3339(time.time())[:10]
        before = await call(client, "list_tasks", before=today)
        after = await call(client, "list_tasks", after=today, name=["shop.pay"])
    assert {one["task_id"] for one in failed["tasks"]} == {"t1", "t3"}
    assert failed["tasks"][0]["error"] == "ValueError('no')"
    pages = [one["task_id"] for page in (first, second) for one in page["tasks"]]
    assert sorted(pages) == [f"t{number}" for number in range(5)]
    assert second["next"] is None
    assert before["tasks"] == []
    assert [one["task_id"] for one in after["tasks"]] == ["other"]


async def test_the_history_of_a_task_tells_each_run() -> None:
    async with opened() as (made, client):
        await made.tell("sent", "t1", name=SNAPSHOT, retries=0, queue="slow")
        await made.started("t1")
        await made.tell("retried", "t1", exception="OSError('away')")
        await made.tell("received", "t1", name=SNAPSHOT, retries=1)
        await made.tell("started", "t1")
        await made.tell("succeeded", "t1", runtime=2.5)
        told = await call(client, "get_task_history", task_id="t1")
    assert [(one["attempt"], one["status"]) for one in told["attempts"]] == [
        (1, "retry"),
        (2, "success"),
    ]
    assert told["attempts"][0]["error"] == "OSError('away')"
    assert told["attempts"][1]["runtime"] == 2.5
    assert [one["what"] for one in told["timeline"]] == [
        "sent to the queue slow",
        "received by celery@one",
        "started by celery@one",
        "ended as retry: OSError('away')",
        "received by celery@one",
        "started by celery@one",
        "ended as success",
    ]


async def test_numbers_by_name() -> None:
    async with opened() as (made, client):
        for number in range(20):
            await succeeded(made, f"s{number}", float(number + 1), SNAPSHOT)
        for number in range(5):
            await made.started(f"f{number}")
            await made.tell("failed", f"f{number}", exception="ValueError()")
        await made.started("runs", "shop.pay")
        told = await call(client, "get_task_stats")
        one = await call(client, "get_task_stats", task_type="metrics_snapshot")
    assert (told["total"], told["sampled"]) == (26, False)
    first = told["names"][0]
    assert (first["task_type"], first["count"]) == ("metrics_snapshot", 25)
    assert first["failure_rate"] == 0.2
    assert [first[f"runtime_p{p}"] for p in (50, 95, 99)] == [10.0, 19.0, 20.0]
    assert told["names"][1]["failure_rate"] is None
    assert [named["task_name"] for named in one["names"]] == [SNAPSHOT]


async def test_numbers_of_a_sample_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("herald_server.insight.stats.by_name.MAX_TASKS", 5)
    async with opened() as (made, client):
        for number in range(8):
            await made.started(f"t{number}")
        told = await call(client, "get_task_stats")
    assert (told["total"], told["sampled"]) == (5, True)
    assert "newest 5" in told["message"]


async def test_many_tasks_are_counted_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("herald_server.mcp.tools.stats.MAX_TASKS", 5)
    async with opened() as (made, client):
        for number in range(8):
            await succeeded(made, f"t{number}", 2.0, SNAPSHOT)
        await made.started("other", "shop.pay")
        told = await call(client, "get_task_stats", name="*.snapshot_metrics")
        older = await call(client, "get_task_stats", hours=48)
    assert (told["total"], told["sampled"]) == (8, False)
    [named] = told["names"]
    assert (named["statuses"], named["failure_rate"]) == ({"success": 8}, 0.0)
    assert named["runtime_p95"] == pytest.approx(2.0, rel=0.1)
    assert "attempts were counted" in told["message"]
    assert older["total"] == 9, "beyond a day each task is looked at"


# -- workers and types -----------------------------------------------------------------


async def test_workers_are_listed_by_state() -> None:
    async with opened() as (made, client):
        none = await call(client, "list_workers")
        old = worker_of("w2@h", timestamp=time.time() - 60)
        silent = worker_of("w3@h", timestamp=time.time() - 60, clock=2)
        await made.store.store([], [worker_of("w1@h", active=2)], now=time.time())
        await made.store.store([], [old, silent], now=time.time())
        told = await call(client, "list_workers")
        online = await call(client, "list_workers", state="online")
    assert "start one with -I herald_worker.auto" in none["message"]
    assert told["total"] == 3
    assert told["workers"][0]["hostname"] == "w1@h"
    assert told["workers"][0]["active"] == 2
    assert "w1@h" in [one["hostname"] for one in online["workers"]]


async def test_workers_are_listed_in_parts() -> None:
    async with opened() as (made, client):
        heard = [worker_of(f"w{n}@h") for n in range(3)]
        await made.store.store([], heard, now=time.time())
        told = await call(client, "list_workers", limit=2)
        rest = await call(client, "list_workers", limit=2, after=told["next"])
    assert (told["total"], told["whole"], told["next"]) == (3, False, "w1@h")
    assert "2 of 3 are listed" in told["message"]
    assert [one["hostname"] for one in rest["workers"]] == ["w2@h"]
    assert (rest["next"], rest["message"]) == (None, "")


async def test_a_worker_that_is_gone_is_dismissed() -> None:
    async with opened() as (made, client):
        heard = [worker_of("w1@h"), gone_worker("w2@h")]
        await made.store.store([], heard, now=time.time())
        told = await call(client, "dismiss_worker", worker="w2@h")
        lives = await refused(client, "dismiss_worker", worker="w1@h")
        left = await call(client, "list_workers")
        [order] = await made.shared.audit.list_newest(1)
    assert (told["hostname"], told["state"]) == ("w2@h", "silent")
    assert "worker w1@h is online: only one that is silent" in lives
    assert [one["hostname"] for one in left["workers"]] == ["w1@h"]
    assert (order.what, order.target) == ("dismiss_worker", "w2@h")
    assert order.outcome == "silent"


async def test_task_types_are_listed_with_measured_durations() -> None:
    async with opened() as (made, client):
        before = await call(client, "list_task_types", name="metrics_snapshot")
        made.forget_durations()
        for number in range(5):
            await succeeded(made, f"t{number}", 40.0 + number, SNAPSHOT)
        after = await call(client, "list_task_types", name="metrics_snapshot")
        every = await call(client, "list_task_types")
    [kind] = before["task_types"]
    assert (kind["estimated_duration"], kind["scope"]) == ("1-2 minutes", "start")
    assert kind["params"]["properties"]["period_days"]["minimum"] == 1
    measured = after["task_types"][0]["estimated_duration"]
    assert measured.startswith("about 42 s (measured: median of 5 runs")
    assert len(every["task_types"]) == 10


# -- estimates ------------------------------------------------------------------


async def test_progress_is_estimated_from_five_runs_and_marked_as_such() -> None:
    async with opened() as (made, client):
        for number in range(4):
            await succeeded(made, f"t{number}", 40.0, SNAPSHOT)
        await began_ago(made, "runs", 10.0)
        unknown = await call(client, "get_task_status", task_id="runs")
        await succeeded(made, "t4", 40.0, SNAPSHOT)
        made.forget_durations()
        estimated = await call(client, "get_task_status", task_id="runs")
        await made.progress("runs", 60, "nearly")
        reported = await call(client, "get_task_status", task_id="runs")
    assert (unknown["progress"], unknown["progress_estimated"]) == (None, False)
    assert 24 < estimated["progress"] < 40
    assert estimated["progress_estimated"] is True
    assert "measured" in estimated["estimated_duration"]
    assert (reported["progress"], reported["progress_estimated"]) == (60, False)


async def test_an_estimate_never_says_that_a_task_is_done() -> None:
    async with opened() as (made, client):
        for number in range(5):
            await succeeded(made, f"t{number}", 1.0, SNAPSHOT)
        await began_ago(made, "runs", 3_600.0)
        told = await call(client, "get_task_status", task_id="runs")
        why = await call(client, "explain_task", task_id="runs")
    assert told["progress"] == 95
    assert why["reason"] == "runs_long"


async def began_ago(made: House, task_id: str, seconds: float) -> None:
    """Tell of a task that has run for a while."""
    at = time.time() - seconds
    said: dict[str, Any] = {"host": "celery@one", "pid": 7, "task_id": task_id}
    events = [
        Event(kind="received", at=at, clock=1, name=SNAPSHOT, retries=0, **said),
        Event(kind="started", at=at, clock=2, **said),
    ]
    await made.store.store(events, now=time.time())


async def test_an_unknown_task_is_explained_as_unknown() -> None:
    async with opened() as (_, client):
        told = await call(client, "explain_task", task_id="never")
    assert (told["status"], told["reason"]) == ("unknown", "unknown")


async def test_queues_that_nobody_consumes_come_first_and_are_said() -> None:
    now = time.time()
    told = [
        QueueView(id="calm", name="calm", depth=7, as_of=to_rfc3339(now)),
        QueueView(
            id="stray", name="stray", depth=2, consumers=(), as_of=to_rfc3339(now)
        ),
    ]
    async with opened() as (made, client):
        none = await call(client, "list_queues")
        await made.store.store_queues(told, now=now)
        found = await call(client, "list_queues")
        calm = await call(client, "list_queues", queue=["c?lm", "other"])
    assert [queue["name"] for queue in calm["queues"]] == ["calm"]
    assert (none["total"], "No such queue was measured" in none["message"]) == (0, True)
    assert [queue["name"] for queue in found["queues"]] == ["stray", "calm"]
    assert "consumers" not in found["queues"][1]
    assert found["message"] == "Tasks wait where no worker takes them: stray (2)."
