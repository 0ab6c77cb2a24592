"""The sample project as it runs: real workers of both pools on one schedule."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any, cast

import pytest
from celery import Celery
from celery.result import AsyncResult

from herald_core.system.subprocesses import kill_group, spawn
from herald_server.catalog.catalog import Catalog
from herald_server.demo import task_names
from herald_server.demo.app import make_app
from herald_server.demo.planning.schedule import FACULTY_COUNT
from herald_server.demo.planning.seeding import RUN_IDS
from tests.support.celery.sample_task_types import TYPES
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until

pytestmark = [
    pytest.mark.celery,
    pytest.mark.timeout(240),
    pytest.mark.xdist_group("sample_tasks"),
]

Event = dict[str, Any]
POOLS = ("prefork", "threads")


class Ear:
    """Hears all events of the broker, and all progress in the result backend."""

    def __init__(self, app: Celery, valkey: PrivateValkey) -> None:
        self.events: list[Event] = []
        self._app = cast(Any, app)
        self._client = valkey.client()
        self._pubsub = cast(Any, self._client).pubsub()
        self._metas: dict[str, list[bytes]] = {}
        self._receiver: Any = None
        self._thread = threading.Thread(target=self._hear)

    def start(self) -> None:
        self._pubsub.psubscribe("celery-task-meta-*")
        self._thread.start()
        wait_until(lambda: self.events, 30, "a heartbeat is heard")

    def stop(self) -> None:
        self._receiver.should_stop = True
        self._thread.join(30)
        self._pubsub.close()
        self._client.close()

    def of(self, task_id: str, kind: str) -> list[Event]:
        found = [e for e in list(self.events) if e.get("uuid") == task_id]
        return [e for e in found if e["type"] == kind]

    def stored(self, task_id: str) -> list[bytes]:
        while message := self._pubsub.get_message():
            if message["type"] != "pmessage":
                continue
            name = message["channel"].decode().removeprefix("celery-task-meta-")
            self._metas.setdefault(name, []).append(message["data"])
        return self._metas.get(task_id, [])

    def _hear(self) -> None:
        with self._app.connection() as connection:
            handlers = {"*": self.events.append}
            self._receiver = self._app.events.Receiver(connection, handlers)
            self._receiver.capture(limit=None, timeout=None)


@pytest.fixture(scope="module")
def app(module_valkey: PrivateValkey) -> Iterator[Celery]:
    made = make_app(module_valkey.url, module_valkey.url)
    yield made
    cast(Any, made).close()


@pytest.fixture(scope="module")
def schedule_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("schedule") / "schedule.sqlite3"


def queues(pool: str) -> tuple[str, str]:
    """Let a worker take from the common queue, and from one of its pool."""
    return "-Q", f"celery,{pool}"


@pytest.fixture(scope="module")
def workers(
    app: Celery, module_valkey: PrivateValkey, schedule_path: Path
) -> Iterator[list[subprocess.Popen[bytes]]]:
    """One worker of each pool, started at once on a schedule that is not there yet."""
    env = {
        **os.environ,
        "HERALD_BROKER_URL": module_valkey.url,
        "HERALD_RESULT_BACKEND": module_valkey.url,
        "HERALD_DEMO_DB": str(schedule_path),
    }
    words = (sys.executable, "-m", "celery", "-A", "herald_server.demo.app", "worker")
    started = [
        spawn(
            [*words, "-P", pool, "-c", "2", *("-n", f"{pool}@demo"), *queues(pool)],
            schedule_path.parent / f"{pool}.log",
            env=env,
        )
        for pool in POOLS
    ]
    try:
        control = cast(Any, app).control
        wait_until(lambda: len(control.ping(timeout=0.3)) == 2, 30, "workers answer")
        yield started
    finally:
        for process in started:
            kill_group(process)


@pytest.fixture(scope="module")
def ear(
    app: Celery, module_valkey: PrivateValkey, workers: list[subprocess.Popen[bytes]]
) -> Iterator[Ear]:
    one = Ear(app, module_valkey)
    one.start()
    yield one
    one.stop()


@pytest.fixture(scope="module")
def send(app: Celery, ear: Ear) -> Callable[..., AsyncResult[Any]]:
    def send_task(name: str, queue: str = "celery", **kwargs: object) -> Any:
        return cast(Any, app).send_task(name, kwargs=kwargs, queue=queue)

    return send_task


Send = Callable[..., "AsyncResult[Any]"]


def at(result: object, dotted: str) -> object:
    for key in dotted.split("."):
        assert isinstance(result, dict)
        assert key in result, f"no {dotted} in {result}"
        result = cast("dict[str, object]", result)[key]
    return result


@pytest.mark.parametrize("task_type", sorted(TYPES))
def test_each_type_succeeds_with_its_keys_and_reports_progress(
    task_type: str, send: Send, ear: Ear
) -> None:
    params, keys = TYPES[task_type]
    kind = Catalog()[task_type]
    sent = send(kind.celery_name, **kind.check_params(params, date(2026, 11, 22)))
    result = sent.get(timeout=30)
    for key in {"timestamp", *keys}:
        at(result, key)
    wait_until(lambda: ear.of(sent.id, "task-succeeded"), 30, "success is heard")
    wait_until(lambda: _percents(ear, sent.id)[-1:] == [100.0], 30, "all is done")
    assert _percents(ear, sent.id) == sorted(set(_percents(ear, sent.id)))
    stored = ear.stored(sent.id)
    assert any(b'"status": "PROGRESS"' in meta for meta in stored[:-1])
    assert b'"status": "SUCCESS"' in stored[-1]


def _percents(ear: Ear, task_id: str) -> list[float]:
    return [event["percent"] for event in ear.of(task_id, "task-progress")]


def test_both_workers_seeded_the_schedule_once(send: Send, schedule_path: Path) -> None:
    health = Catalog()["resilience_health_check"].celery_name
    for pool in POOLS:
        send(health, queue=pool).get(timeout=30)
    with contextlib.closing(sqlite3.connect(schedule_path)) as db:
        assert db.execute("SELECT count(*) FROM seeded").fetchone() == (1,)
        assert db.execute("SELECT count(*) FROM faculty").fetchone() == (FACULTY_COUNT,)
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_snapshot_is_kept_and_a_cleanup_deletes(
    send: Send, schedule_path: Path
) -> None:
    def rows() -> int:
        with contextlib.closing(sqlite3.connect(schedule_path)) as db:
            return int(db.execute("SELECT count(*) FROM snapshots").fetchone()[0])

    metrics = Catalog()["metrics_snapshot"].celery_name
    cleanup = Catalog()["metrics_cleanup"].celery_name
    send(metrics, period_days=1).get(timeout=30)
    before = rows()
    done = send(cleanup, retention_days=300).get(timeout=30)
    assert done["deleted_count"] == sum(done["deleted_by_status"].values()) > 0
    assert rows() == before - done["deleted_count"]


def test_a_diff_with_itself_is_nothing_and_an_unknown_run_fails(send: Send) -> None:
    diff = Catalog()["metrics_version_diff"].celery_name
    same = send(diff, run_id_1=RUN_IDS[1], run_id_2=RUN_IDS[1]).get(timeout=30)
    assert same["metric_changes"] == {"fairness_delta": 0.0, "coverage_delta": 0.0}
    assert same["summary"]["improved"] is False
    assert same["comparison"]["weeks"] == []
    wrong = send(diff, run_id_1="run-9", run_id_2=RUN_IDS[1])
    with pytest.raises(
        ValueError, match="there is no run 'run-9'; the runs are run-001"
    ):
        wrong.get(timeout=30)


def test_a_damaged_batch_fails(send: Send) -> None:
    assert send(task_names.IMPORT_ABSENCES, batch=0).get(timeout=30)["absences"] == 300
    damaged = send(task_names.IMPORT_ABSENCES, batch=2)
    with pytest.raises(ValueError, match=r"line 150: .*day is out of range for month"):
        damaged.get(timeout=30)
    assert damaged.state == "FAILURE"


def test_a_busy_calendar_is_tried_three_times(send: Send, ear: Ear) -> None:
    sent = send(task_names.SYNC_CALENDAR, service="icu")
    result = sent.get(timeout=30)
    assert (result["attempts"], result["service"]) == (3, "icu")
    assert result["blocks"] > 0
    wait_until(lambda: len(ear.of(sent.id, "task-retried")) == 2, 30, "two retries")


@pytest.mark.parametrize("pool", POOLS)
def test_a_long_search_is_revoked_in_either_pool(
    pool: str, send: Send, ear: Ear
) -> None:
    sent = send(task_names.SEARCH_ROSTER, queue=pool, rounds=100_000)
    wait_until(lambda: ear.of(sent.id, "task-progress"), 30, "it runs")
    sent.revoke(terminate=True)
    wait_until(lambda: ear.of(sent.id, "task-revoked"), 30, "it is revoked")
    wait_until(lambda: str(sent.state) == "REVOKED", 30, "the backend knows")


def test_a_task_without_a_result_succeeds_in_silence(send: Send, ear: Ear) -> None:
    sent = send(task_names.NOTE_PRESENCE)
    wait_until(lambda: ear.of(sent.id, "task-succeeded"), 30, "success is heard")
    assert ear.stored(sent.id) == []
