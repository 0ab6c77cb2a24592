"""Whatever a task returned: to look at it holds up nobody else."""

import asyncio
import json
import time
from typing import Any

import pytest
import redis

from herald_core.model.events.redaction import Redactor
from herald_monitor.celery_client.backend.result_backend import ResultBackend
from herald_server.insight import full_result
from tests.support.celery.worker import AppFactory
from tests.support.clients.http import asking
from tests.support.herald.server import serving
from tests.support.loop_pauses import pauses
from tests.support.servers.redis import PrivateValkey

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.filterwarnings("ignore:Call to deprecated setex"),
]

MEGABYTE = 1_000_000


def nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


RESULTS: dict[str, Any] = {
    "brackets": "password=" + "{<" * (MEGABYTE // 2 - 100),
    "backslashes and quotes": "password=" + "\\\\'" * (MEGABYTE // 5),
    "quotes": '"' * (MEGABYTE // 2 - 100),
    "schemes": "bearer a " * (MEGABYTE // 9),
    "addresses": "://a:b " * (MEGABYTE // 7),
    "deep": nested(400),
    "objects": [{"a": 1}] * (MEGABYTE // 10),
    "keys": {f"password{n}": n for n in range(MEGABYTE // 22)},
}


def keep(valkey: PrivateValkey, task_id: str, result: Any) -> None:
    """Store a result as a worker of Celery does."""
    meta = {"status": "SUCCESS", "result": result, "task_id": task_id}
    with redis.Redis.from_url(valkey.url) as client:
        client.set(f"celery-task-meta-{task_id}", json.dumps(meta))


@pytest.mark.parametrize("kind", RESULTS)
async def test_a_hostile_result_holds_up_nobody_else(
    kind: str, module_valkey: PrivateValkey, project_app: AppFactory
) -> None:
    url = module_valkey.url
    keep(module_valkey, "t", RESULTS[kind])
    async with serving(url, celery=project_app(url, url)) as server:
        await server.tell("received", "t", name="n")
        async with asking(server) as ask:
            await ask.get("/api/v1/tasks/t")
            async with pauses() as watched:
                begun = time.perf_counter()
                answers = await asyncio.gather(
                    *[
                        ask.get("/api/v1/tasks/t/result?most=2000000", timeout=60)
                        for _ in "12"
                    ]
                )
                took = time.perf_counter() - begun
    for answer in answers:
        assert answer.json()["source"] == "backend", answer.text[:500]
    # On the loop, each of them would hold it for as long as it takes.
    assert watched.longest < max(took / 6, 0.1)


async def test_results_beyond_what_is_fetched_are_only_measured(
    module_valkey: PrivateValkey, project_app: AppFactory
) -> None:
    keep(module_valkey, "huge", "x" * 17_000_000)
    backend = ResultBackend(project_app(module_valkey.url, module_valkey.url))
    found = await backend.read_full("huge")
    await backend.close()
    assert found is not None
    assert found.value is None
    assert found.size > 17_000_000


async def test_a_result_that_cannot_be_looked_at_in_time_is_said_to_be(
    module_valkey: PrivateValkey,
    project_app: AppFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(full_result, "TIMEOUT_S", 0.5)
    keep(module_valkey, "slow", "bearer a " * (MEGABYTE // 9))
    url = module_valkey.url
    async with serving(url, celery=project_app(url, url)) as server:
        await server.tell("succeeded", "slow", name="n", result="'short'")
        backend = server.app.state.shared.backend
        held = asyncio.Event()
        loop = asyncio.get_running_loop()

        def hold(_meta: Any, _size: int | None) -> None:
            asyncio.run_coroutine_threadsafe(held.wait(), loop).result()

        holding = asyncio.create_task(backend.examine("slow", hold))
        async with asking(server) as ask:
            answer = await ask.get("/api/v1/tasks/slow/result", timeout=40)
        held.set()
        await holding
    told = answer.json()
    assert (told["source"], told["result"]) == ("event", "'short'")


@pytest.mark.parametrize("status", ["EVIL\n", {"a": 1}, "", None, 5])
async def test_a_state_that_is_none_is_not_told(
    status: Any, module_valkey: PrivateValkey, project_app: AppFactory
) -> None:
    url = module_valkey.url
    meta = {"status": status, "result": 1, "task_id": "odd"}
    with redis.Redis.from_url(url) as client:
        client.set("celery-task-meta-odd", json.dumps(meta))
    async with serving(url, celery=project_app(url, url)) as server:
        await server.tell("received", "odd", name="n")
        async with asking(server) as ask:
            told = (await ask.get("/api/v1/tasks/odd/result")).json()
    assert told["state"] == "RECEIVED"


def test_the_results_are_slow_to_redact() -> None:
    """Those that the tests above are about take long enough to be noticed."""
    begun = time.thread_time()
    Redactor()(RESULTS["addresses"])
    assert time.thread_time() - begun > 0.02


async def test_a_page_of_large_tasks_ends_early_and_goes_on(
    module_valkey: PrivateValkey,
) -> None:
    ids = [f"large-{number}" for number in range(600)]
    async with serving(module_valkey.url) as server, asking(server) as ask:
        await server.tell("received", *ids, name="large.task", args="x" * 8_000)
        found: list[str] = []
        sizes: list[int] = []
        page = ""
        while True:
            path = f"/api/v1/tasks?name=large.*&limit=1000{page}"
            answer = await ask.get(path)
            sizes.append(len(answer.content))
            found += [task["id"] for task in answer.json()["tasks"]]
            if "next" not in answer.json():
                break
            page = f"&page={answer.json()['next']}"
    assert sorted(found) == sorted(ids)
    assert len(sizes) > 1
    assert max(sizes) < 5_000_000
