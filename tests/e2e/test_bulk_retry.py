"""A bulk retry on real workers: exactly the confirmed tasks, each once."""

import asyncio
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast
from urllib.error import HTTPError

import pytest
from celery import Celery

from herald_core.model.events.event import Event
from herald_core.store.redis.keys import RedisKeys
from tests.support.celery.project import environment
from tests.support.celery.worker import AppFactory, WorkerFactory
from tests.support.herald.monitor_process import MonitorProcess, open_store
from tests.support.herald.process import HeraldProcess
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until

LEASE = RedisKeys().make_lease("bulk")
RUNS = "runs"
COUNT = 200


class Installation:
    """A broker with a worker, a monitor, and servers over one store."""

    def __init__(self, app: Celery, valkey: PrivateValkey, place: Path) -> None:
        self.app = app
        self.valkey = valkey
        self.servers: list[HeraldProcess] = []
        self._place = place
        self._monitor = MonitorProcess(app, valkey.url, place / "monitor.log", "m")

    def start(self, servers: int) -> None:
        """Start the monitor and some servers."""
        self._monitor.start()
        for number in range(servers):
            made = HeraldProcess(
                self._place / f"server-{number}.log",
                *("server", "--store", self.valkey.url),
                **cast(Any, environment(self.app)),
                HERALD_APP="tests.support.celery.project",
            )
            made.start()
            self.servers.append(made)

    def stop(self) -> None:
        """Stop all of it."""
        for server in self.servers:
            server.stop()
        self._monitor.stop()

    def fail(self, number: int, name: str = "fail_first") -> list[str]:
        """Send tasks that fail, and wait until Herald has all failures."""
        with cast(Any, self.app).producer_or_acquire() as producer:
            ids = [
                cast(Any, self.app)
                .send_task(
                    name,
                    args=(self.valkey.url, RUNS),
                    kwargs={"number": n},
                    producer=producer,
                )
                .id
                for n in range(number)
            ]
        wait_until(lambda: self.count_failures() >= number, 60, "all are stored")
        return ids

    async def store_failures(self, number: int) -> list[str]:
        """Store failures as if tasks had run; return their ids."""
        ids, now = [f"stored-{n}" for n in range(number)], time.time()
        said: dict[str, Any] = {"host": "w@gone", "pid": 1, "at": now}
        async with open_store(self.valkey.url) as store:
            for n, id_ in enumerate(ids):
                args = repr((self.valkey.url, RUNS))
                first = Event(
                    kind="received",
                    task_id=id_,
                    name="fail_first",
                    args=args,
                    kwargs=repr({"number": n}),
                    clock=1,
                    **said,
                )
                await store.store(
                    [first, Event(kind="failed", task_id=id_, clock=2, **said)], now=now
                )
        return ids

    def count_failures(self) -> int:
        """Return how many tasks have failed, as Herald knows."""
        counts = self.servers[-1].get("api/v1/stats")["counts"]
        return int(counts.get("FAILURE", 0))

    def preview(self, **more: object) -> Any:
        """Return the preview of a retry of all that failed."""
        return self.servers[-1].post("api/v1/orders", {**FAILED, **more})

    def confirm(self, expect: int, **more: object) -> Any:
        """Confirm that retry."""
        return self.servers[-1].post(
            "api/v1/orders", {**FAILED, **more, "expect": expect}
        )

    def read_order(self, order_id: str) -> Any:
        """Return an order."""
        return self.servers[-1].get(f"api/v1/orders/{order_id}")

    def wait_for_end(self, order_id: str, within: float = 60) -> Any:
        """Return an order once it has ended."""
        return wait_until(
            lambda: self.read_order(order_id),
            within,
            "the order ends",
            accept=lambda order: "ended_at" in order,
        )

    def read_runs(self) -> dict[str, int]:
        """Return how often each task was run again, by its id."""
        with self.valkey.client() as client:
            found = cast("dict[bytes, bytes]", client.hgetall(RUNS))
        return {id_.decode(): int(number) for id_, number in found.items()}

    def wait_for_runs(self, ids: list[str]) -> None:
        """Wait until as many tasks ran again as there are `ids`; each ran once."""
        wait_until(lambda: len(self.read_runs()) >= len(ids), 60, "all ran again")
        assert self.read_runs() == dict.fromkeys(ids, 1)

    def find_executing(self) -> HeraldProcess:
        """Return the server that carries out the orders."""
        with self.valkey.client() as client:
            owner = cast("bytes", client.get(LEASE)).decode()
        return next(one for one in self.servers if f"-{one.pid}-" in owner)


FAILED = {"action": "retry", "filter": {"name": ["fail_first"], "state": ["FAILURE"]}}


@pytest.fixture
def place(
    valkey: PrivateValkey,
    project_app: AppFactory,
    celery_worker: WorkerFactory,
    tmp_path: Path,
) -> Iterator[Installation]:
    app = project_app(valkey.url, valkey.url)
    made = Installation(app, valkey, tmp_path)
    celery_worker(app, pool="threads", concurrency=4)
    yield made
    made.stop()


def test_exactly_the_confirmed_tasks_run_again(place: Installation) -> None:
    place.start(1)
    ids = place.fail(37)
    preview = place.preview()
    assert (preview["count"], preview["acts_on"]) == (37, 37)
    with pytest.raises(HTTPError) as refused:
        place.confirm(36)
    with refused.value as error:
        assert error.code == 409
        assert json.loads(error.read())["preview"]["count"] == 37
    order = place.wait_for_end(place.confirm(37)["id"])
    assert order["state"] == "done"
    assert order["details"]["outcomes"] == {"sent": 37}
    place.wait_for_runs(ids)
    again = place.preview()
    assert (again["ran_again"], again["acts_on"]) == (37, 0)


def test_an_order_outlives_its_server(place: Installation) -> None:
    place.start(2)
    ids = place.fail(COUNT)
    order = place.confirm(COUNT, per_second=100)

    def is_halfway() -> bool:
        return bool(place.read_order(order["id"])["details"]["handled"] >= COUNT // 4)

    wait_until(is_halfway, 30, "a quarter is sent")
    dying = place.find_executing()
    os.kill(dying.pid, signal.SIGKILL)
    place.servers.sort(key=lambda one: one is not dying)
    ended = place.wait_for_end(order["id"])
    assert ended["state"] == "done"
    assert ended["details"]["outcomes"] == {"sent": COUNT}
    place.wait_for_runs(ids)


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_thousands_run_again_within_half_a_minute(
    place: Installation, capsys: pytest.CaptureFixture[str]
) -> None:
    """The server is killed in the middle; each of 5,000 tasks is sent once."""
    place.start(2)
    ids = asyncio.run(place.store_failures(5_000))
    began = time.monotonic()
    order = place.confirm(len(ids), per_second=1_000)
    wait_until(lambda: place.read_order(order["id"])["details"]["handled"] >= 2_000, 60)
    dying = place.find_executing()
    os.kill(dying.pid, signal.SIGKILL)
    killed = time.monotonic() - began
    place.servers.sort(key=lambda one: one is not dying)
    ended = place.wait_for_end(order["id"], 120)
    took = time.monotonic() - began
    assert ended["details"]["outcomes"] == {"sent": len(ids)}
    wait_until(lambda: len(place.read_runs()) >= len(ids), 120, "all ran again")
    assert place.read_runs() == dict.fromkeys(ids, 1)
    with capsys.disabled():
        print(f"5,000 sent in {took:.1f} s; killed after {killed:.1f} s")
    assert took <= 30


def test_an_order_is_stopped_in_the_middle(place: Installation) -> None:
    place.start(1)
    place.fail(60)
    order = place.confirm(60, per_second=10)
    wait_until(
        lambda: place.read_order(order["id"])["details"]["handled"], 30, "some are sent"
    )
    place.servers[0].post(f"api/v1/orders/{order['id']}/stop", {})
    ended = place.wait_for_end(order["id"])
    assert ended["state"] == "stopped"
    sent = ended["details"]["outcomes"]["sent"]
    assert 0 < sent < 60
    wait_until(lambda: sum(place.read_runs().values()) == sent, 30, "those ran")
