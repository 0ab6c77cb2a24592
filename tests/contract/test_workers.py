"""Workers in the store: what they said, and their falling silent."""

from typing import Any

import msgspec
import pytest

from herald_core.model.cursor import START
from herald_core.model.tasks.views import to_rfc3339
from herald_core.model.workers.worker import WorkerView
from herald_core.model.workers.worker_record import Worker
from herald_core.model.workers.worker_reports import parse_worker
from herald_core.store.ports import Store
from herald_monitor.reconcile.worker_cleanup import WorkerCleanup
from tests.support.store.labs import NOW, Lab, all_changes, event
from tests.support.store.records import MONITOR

BEHIND = msgspec.structs.replace(
    MONITOR, connected=True, behind_since=to_rfc3339(NOW + 3)
)
KEEPS_UP = msgspec.structs.replace(MONITOR, connected=True)

pytestmark = pytest.mark.anyio

OLD, NEW = "celery@web-7d9c6bdf54-x2x4k", "celery@web-7d9c6bdf54-kkz5b"


def said(kind: str, at: float, host: str = "w1@h", **fields: Any) -> Worker:
    """Return what a worker event at NOW + `at` says."""
    raw = {"type": f"worker-{kind}", "hostname": host, "timestamp": NOW + at, "pid": 7}
    worker = parse_worker({**raw, "clock": int(at), "freq": 2.0, **fields}, NOW + at)
    assert worker is not None
    return worker


async def states(lab: Lab, now: float) -> list[tuple[str, str]]:
    async with lab.open() as store:
        return [(w.id, w.state) for w in await store.list_workers(now=NOW + now)]


async def test_a_worker_is_shown_as_it_was_heard(lab: Lab) -> None:
    async with lab.open() as store:
        heard = [said("online", 0), said("heartbeat", 2, active=1, processed=5)]
        assert (await store.store([], heard, now=NOW + 2)).changes == 1
        [worker] = await store.list_workers(now=NOW + 2)
        expected = WorkerView(
            id="w1@h",
            hostname="w1@h",
            state="online",
            pid=7,
            active=1,
            processed=5,
            freq=2.0,
            started_at=to_rfc3339(NOW),
            last_heartbeat_at=to_rfc3339(NOW + 2),
            clock_skew_ms=0,
            updated_at=to_rfc3339(NOW + 2),
            rev=worker.rev,
        )
        assert worker == expected
        [change] = [c async for c in all_changes(store)]
        assert (change.kind, change.id, change.rev) == ("w", "w1@h", worker.rev)


async def test_each_heartbeat_is_a_change_but_none_twice(lab: Lab) -> None:
    async with lab.open() as store, lab.open() as other:
        for at in (2, 4):
            beat = [said("heartbeat", at, active=0)]
            assert (await store.store([], beat, now=NOW + at)).changes == 1
            assert (await other.store([], beat, now=NOW + at)).changes == 0


async def test_workers_are_listed_by_hostname(lab: Lab) -> None:
    async with lab.open() as store:
        await store.store([], [said("online", 0, h) for h in "cab"], now=NOW)
        assert [w.hostname for w in await store.list_workers(now=NOW)] == [
            "a",
            "b",
            "c",
        ]


async def test_a_worker_that_falls_silent_is_announced_once(lab: Lab) -> None:
    async with lab.open() as store, lab.open() as other:
        await store.store([], [said("online", 0)], now=NOW)
        assert (await store.record_heartbeat(MONITOR, now=NOW + 1)).changes == 0
        assert (await store.record_heartbeat(MONITOR, now=NOW + 60)).changes == 1
        assert (await other.record_heartbeat(MONITOR, now=NOW + 61)).changes == 0
        assert (await store.record_heartbeat(MONITOR, now=NOW + 62)).changes == 0
        *_, last = [change async for change in all_changes(store)]
        assert b'"state":"silent"' in last.json
        await other.store([], [said("heartbeat", 63)], now=NOW + 63)
        *_, last = [change async for change in all_changes(store)]
        assert b'"state":"online"' in last.json


async def test_a_worker_that_left_drains_and_is_offline(lab: Lab) -> None:
    async with lab.open() as store:
        await store.store([], [said("online", 0), said("offline", 5)], now=NOW + 5)
        assert await states(lab, 6) == [("w1@h", "draining")]
        assert await states(lab, 60) == [("w1@h", "offline")]
        assert (await store.record_heartbeat(MONITOR, now=NOW + 60)).changes == 1


async def test_a_worker_is_forgotten_a_day_after_its_last_word(lab: Lab) -> None:
    async with lab.open() as store:
        await store.store([], [said("online", 0), said("online", 9, "w2@h")], now=NOW)
        assert await store.expire_tasks(now=NOW + 86_401) == 0
        assert [w.id for w in await store.list_workers(now=NOW)] == ["w2@h"]
        *_, last = [change async for change in all_changes(store)]
        assert (last.kind, last.id, last.is_deletion) == ("w", "w1@h", True)
        assert len(await store.read_entries(START)) == 2


async def test_workers_are_kept_for_as_long_as_was_wished(lab: Lab) -> None:
    async with lab.open(forget_workers=100.0) as store:
        await store.store([], [said("online", 0), said("offline", 0, "w2@h")], now=NOW)
        await store.expire_tasks(now=NOW + 99)
        assert len(await store.list_workers(now=NOW)) == 2
        await store.expire_tasks(now=NOW + 101)
        assert await store.list_workers(now=NOW) == []


async def test_a_worker_that_lives_is_kept_whatever_its_clock_says(lab: Lab) -> None:
    async with lab.open(forget_workers=100.0) as store:
        raw = {"type": "worker-heartbeat", "hostname": "w1@h", "freq": 2.0, "pid": 7}
        heard = parse_worker({**raw, "timestamp": NOW - 7200, "clock": 1}, NOW)
        assert heard is not None
        await store.store([], [heard], now=NOW)
        await store.expire_tasks(now=NOW + 1)
        assert [w.id for w in await store.list_workers(now=NOW + 1)] == ["w1@h"]


@pytest.mark.parametrize(
    ("last", "state"), [("heartbeat", "silent"), ("offline", "offline")]
)
async def test_a_worker_that_is_gone_can_be_dismissed(
    lab: Lab, last: str, state: str
) -> None:
    async with lab.open() as store, lab.open() as other:
        await store.store([], [said("online", 0), said(last, 2)], now=NOW + 2)
        await store.store([], [said("online", 0, "w2@h")], now=NOW + 2)
        assert await other.delete_worker("w1@h", now=NOW + 60) == state
        assert await other.delete_worker("w1@h", now=NOW + 60) is None
        assert [w.id for w in await store.list_workers(now=NOW)] == ["w2@h"]
        *_, last_told = [change async for change in all_changes(store)]
        assert (last_told.kind, last_told.id, last_told.is_deletion) == (
            "w",
            "w1@h",
            True,
        )
        await store.record_heartbeat(MONITOR, now=NOW + 61)
        assert [w.id for w in await store.list_workers(now=NOW)] == ["w2@h"]


async def test_a_dismissed_worker_that_speaks_again_is_back(lab: Lab) -> None:
    async with lab.open() as store, lab.open() as other:
        await store.store([], [said("online", 0)], now=NOW)
        await other.delete_worker("w1@h", now=NOW + 60)
        await store.store([], [said("heartbeat", 61)], now=NOW + 61)
        assert await states(lab, 61) == [("w1@h", "online")]
        *_, told = [change async for change in all_changes(store)]
        assert (told.id, told.is_deletion) == ("w1@h", False)


async def test_a_worker_that_lives_is_not_dismissed(lab: Lab) -> None:
    async with lab.open() as store:
        await store.store([], [said("online", 0)], now=NOW)
        leaving = [said("online", 0, "w2@h"), said("offline", 1, "w2@h")]
        await store.store([], leaving, now=NOW + 1)
        assert await store.delete_worker("w1@h", now=NOW + 1) == "online"
        assert await store.delete_worker("w2@h", now=NOW + 1) == "draining"
        assert await store.delete_worker("w3@h", now=NOW + 1) is None
        assert [w.id for w in await store.list_workers(now=NOW)] == ["w1@h", "w2@h"]


async def forget_gone(cleanup: WorkerCleanup, store: Store, now: float) -> list[str]:
    return await cleanup.delete_oldest(await store.list_workers(now=now), now)


async def test_a_replaced_worker_leaves_once_nothing_runs_on_it(lab: Lab) -> None:
    async with lab.open() as store:
        cleanup = WorkerCleanup(store, 90.0, 86_400.0)
        running = [event("received", "t"), event("started", "t", 2)]
        running = [msgspec.structs.replace(one, host=OLD) for one in running]
        await store.store(running, [said("online", 0, OLD)], now=NOW)
        await store.store([], [said("online", 60, NEW)], now=NOW + 60)
        await store.store([], [said("heartbeat", 200, NEW)], now=NOW + 200)
        assert await forget_gone(cleanup, store, NOW + 200) == []
        lost = msgspec.structs.replace(running[1], kind="lost", at=NOW + 100, clock=0)
        await store.store([msgspec.structs.replace(lost, source="inferred")], now=NOW)
        assert await forget_gone(cleanup, store, NOW + 200) == [OLD]
        assert await states(lab, 200) == [(NEW, "online")]


async def test_a_worker_leaves_early_unless_it_may_be_busy(lab: Lab) -> None:
    async with lab.open() as store:
        cleanup = WorkerCleanup(store, 90.0, 300.0)
        running = [event("received", "t"), event("started", "t", 2)]
        heard = [
            said("online", 0),
            said("online", 0, "w2@h"),
            said("online", 2, "w3@h"),
        ]
        await store.store(running, heard, now=NOW)
        assert await forget_gone(cleanup, store, NOW + 299) == []
        assert await forget_gone(cleanup, store, NOW + 301) == ["w2@h"]
        assert await forget_gone(cleanup, store, NOW + 303) == ["w3@h"]
        assert await states(lab, 303) == [("w1@h", "silent")]


async def test_of_too_many_workers_the_idle_ones_that_are_gone_leave(lab: Lab) -> None:
    async with lab.open() as store:
        cleanup = WorkerCleanup(store, 90.0, 86_400.0, 10)
        running = [event("received", "t"), event("started", "t", 2)]
        heard = [said("online", i, f"w{i}@h") for i in range(1, 12)]
        heard += [said("online", 10, "bye@h"), said("offline", 11, "bye@h")]
        await store.store(running, heard, now=NOW)
        assert await forget_gone(cleanup, store, NOW + 90) == []
        await store.store([], [said("heartbeat", 200, "w3@h")], now=NOW + 200)
        # One that said goodbye first, then those that were heard longest ago.
        left = await forget_gone(cleanup, store, NOW + 200)
        assert left == ["bye@h", "w2@h", "w4@h"]
        assert len(await states(lab, 200)) == 9
        assert await forget_gone(cleanup, store, NOW + 200) == []


async def test_nobody_is_silent_for_what_was_not_read(lab: Lab) -> None:
    """The heartbeats of ten seconds may wait in a buffer."""
    async with lab.open() as store:
        await store.store([], [said("heartbeat", 2)], now=NOW + 2)
        assert (await store.record_heartbeat(BEHIND, now=NOW + 13)).changes == 0
        assert [w.state for w in await store.list_workers(now=NOW + 13)] == ["online"]
        assert (await store.record_heartbeat(KEEPS_UP, now=NOW + 14)).changes == 1
        assert [w.state for w in await store.list_workers(now=NOW + 14)] == ["silent"]


async def test_who_was_silent_before_stays_so_while_a_monitor_is_behind(
    lab: Lab,
) -> None:
    async with lab.open() as store:
        await store.store([], [said("heartbeat", -20)], now=NOW - 20)
        assert (await store.record_heartbeat(BEHIND, now=NOW + 13)).changes == 1
        assert [w.state for w in await store.list_workers(now=NOW + 13)] == ["silent"]
        # One that looks at an earlier time takes nothing back.
        earlier = msgspec.structs.replace(BEHIND, behind_since=to_rfc3339(NOW - 19))
        assert (await store.record_heartbeat(earlier, now=NOW + 14)).changes == 0


async def test_one_monitor_that_keeps_up_proves_silence_for_all(lab: Lab) -> None:
    async with lab.open() as store:
        await store.store([], [said("heartbeat", 2)], now=NOW + 2)
        await store.record_heartbeat(BEHIND, now=NOW + 13)
        other = msgspec.structs.replace(KEEPS_UP, id="m2")
        await store.record_heartbeat(other, now=NOW + 13)
        assert [w.state for w in await store.list_workers(now=NOW + 13)] == ["silent"]
