"""The main job: Herald beside a stranger's Celery, and every task told rightly."""

import asyncio
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import pytest
import websockets
from celery.result import AsyncResult

from tests.support.celery.default_project import Stranger
from tests.support.herald.process import TOKEN, HeraldProcess
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until

pytestmark = [pytest.mark.celery, pytest.mark.anyio, pytest.mark.timeout(240)]

ENDINGS = {"SUCCESS", "FAILURE", "REVOKED"}


@pytest.fixture
def pool(request: pytest.FixtureRequest) -> str:
    return str(getattr(request, "param", "prefork"))


@pytest.fixture
def stranger(
    broker_url: str, pool: str, valkey: PrivateValkey, tmp_path: Path
) -> Iterator[Stranger]:
    backend = valkey.url.rpartition("/")[0] + "/3"
    project = Stranger(tmp_path / "shop", broker_url, backend, pool)
    project.start_worker()
    yield project
    project.stop()


@pytest.fixture
def herald(
    broker_url: str, tmp_path: Path, stranger: Stranger
) -> Iterator[HeraldProcess]:
    up = HeraldProcess(tmp_path / "up.log", "up", "--broker", broker_url)
    up.start()
    yield up
    assert up.stop(), "SIGTERM did not end it"


class Watcher:
    """A WebSocket client of everything that keeps the last image of each task."""

    def __init__(self, url: str) -> None:
        self.url = url.replace("http", "ws", 1) + "ws"
        self.seen: dict[str, dict[str, Any]] = {}
        self.problems: list[str] = []

    async def watch(self, ids: set[str], within: float) -> None:
        """Watch until each of `ids` is final."""
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with (
            asyncio.timeout(within),
            websockets.connect(self.url, additional_headers=headers) as socket,
        ):
            await socket.send('{"type":"subscribe","id":"all","filter":{}}')
            while not all(self.seen.get(i, {}).get("final") for i in ids):
                self.take(json.loads(await socket.recv()))

    def take(self, frame: dict[str, Any]) -> None:
        if frame.get("reset") not in (None, "new"):
            self.problems.append(f"reset {frame['reset']}")
        for task in frame.get("put", ()):
            known = self.seen.get(task["id"])
            if known and _place(known["rev"]) >= _place(task["rev"]):
                self.problems.append(f"{task['id']}: {known['rev']} then {task['rev']}")
            self.seen[task["id"]] = task


def _place(rev: str) -> tuple[int, ...]:
    return tuple(int(part) for part in rev.replace(".", "-").split("-"))


def submit(stranger: Stranger, count: int) -> dict[str, str]:
    """Send `count` tasks that end in every way; return id → its kind."""
    rng = random.Random(7)
    sent: dict[str, str] = {}
    app = cast(Any, stranger.app)
    for _ in range(count):
        kind = rng.choices(
            ["pay", "refuse", "ship", "note", "revoked"], [50, 20, 15, 10, 5]
        )[0]
        task_id = str(uuid4())
        sent[task_id] = kind
        if kind == "revoked":
            app.control.revoke(task_id)
            app.send_task("shop.pay", (1,), task_id=task_id, countdown=0.5)
        else:
            args = {"pay": (21,), "refuse": ("no",), "ship": (2,), "note": ("x",)}[kind]
            app.send_task(f"shop.{kind}", args, task_id=task_id)
    return sent


AMQP = pytest.param("amqp", "prefork", marks=pytest.mark.rabbitmq)


@pytest.mark.parametrize(
    ("broker_url", "pool"),
    [("redis", "prefork"), ("redis", "threads"), AMQP],
    indirect=True,
)
@pytest.mark.parametrize("count", [300, pytest.param(1_000, marks=pytest.mark.soak)])
async def test_every_task_ends_as_the_result_backend_says(
    herald: HeraldProcess, stranger: Stranger, count: int
) -> None:
    watcher = Watcher(herald.url)
    sent = await asyncio.to_thread(submit, stranger, count)
    await watcher.watch(set(sent), 80)
    assert not watcher.problems

    told = await asyncio.to_thread(herald.tasks)
    assert {i: watcher.seen[i]["state"] for i in sent} == {
        i: told[i]["state"] for i in sent
    }
    for task_id, kind in sent.items():
        result: AsyncResult[object] = AsyncResult(task_id, app=stranger.app)
        expected = "SUCCESS" if kind == "note" else result.state
        assert expected in ENDINGS
        assert told[task_id]["state"] == expected, (kind, told[task_id])
    retried = [told[i] for i, kind in sent.items() if kind == "ship"]
    assert {task["attempt"] for task in retried} == {3}


@pytest.mark.parametrize("broker_url", ["redis"], indirect=True)
async def test_what_is_known_survives_a_restart(
    broker_url: str, stranger: Stranger, herald: HeraldProcess
) -> None:
    sent = await asyncio.to_thread(submit, stranger, 50)
    wait_until(lambda: sum(t["final"] for t in _final(herald)) >= len(sent), 30)
    before = herald.tasks()
    assert herald.stop()
    herald.start()
    assert herald.tasks().keys() == before.keys()
    assert {i: t["state"] for i, t in herald.tasks().items()} == {
        i: t["state"] for i, t in before.items()
    }


def _final(herald: HeraldProcess) -> list[dict[str, Any]]:
    return [{"final": bool(t.get("final"))} for t in herald.tasks().values()]
