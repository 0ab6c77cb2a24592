"""HTTP answers while no monitor writes to the store."""

import time

import pytest

from herald_client import Herald
from herald_server.api.actions import STALE_HEADER
from tests.support.celery.project import make_app
from tests.support.clients.http import asking
from tests.support.herald.server import Server, serving
from tests.support.herald.uvicorn_server import TOKEN
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = [
    pytest.mark.anyio,
    # Celery's Redis backend uses a command that redis-py calls old.
    pytest.mark.filterwarnings("ignore:Call to deprecated:DeprecationWarning"),
]

READS = (
    "/api/v1/tasks",
    "/api/v1/tasks/t",
    "/api/v1/tasks/t/wait?timeout=0",
    "/api/v1/tasks/t/why",
    "/api/v1/tasks/t/tree",
    "/api/v1/workers",
    "/api/v1/queues",
    "/api/v1/groups",
    "/api/v1/groups/g",
    "/api/v1/stats",
    "/api/v1/stats/series",
    "/api/v1/suspects",
    "/api/v1/overview",
)


@pytest.fixture
def url(module_valkey: PrivateValkey) -> str:
    return module_valkey.url


async def unwatched(server: Server) -> None:
    """Store something, and wait until the server knows that no monitor lives."""
    await server.tell("started", "t", name="x", host="w1@h")
    await server.tell("sent", "m", name="x", group_id="g")
    status = server.app.state.shared.status
    await wait_until_async(lambda: status.find_staleness() is not None)


@pytest.mark.parametrize("path", READS)
async def test_an_answer_says_so_and_since_when(url: str, path: str) -> None:
    async with serving(url) as server, asking(server) as ask:
        await unwatched(server)
        answer = await ask.get(path)
        assert answer.status_code == 200, answer.text
        stale = answer.json()["stale"]
        assert stale["reason"] == "no monitor has written to this store"
        assert answer.headers[STALE_HEADER] == stale.get("since", "unknown")


async def test_with_a_living_monitor_nothing_is_added(url: str) -> None:
    async with serving(url) as server, asking(server) as ask:
        await server.tell("started", "t", name="x")
        await server.beat()
        status = server.app.state.shared.status
        await wait_until_async(lambda: status.find_staleness() is None)
        answer = await ask.get("/api/v1/tasks/t")
        assert "stale" not in answer.json()
        assert STALE_HEADER not in answer.headers


async def test_the_result_backend_is_asked_for_a_task_without_an_end(url: str) -> None:
    app = make_app(url, url)
    async with serving(url, celery=app) as server, asking(server) as ask:
        await unwatched(server)
        app.backend.store_result("t", 42, "SUCCESS")
        app.backend.store_result("unheard", ValueError("no"), "FAILURE")
        told = (await ask.get("/api/v1/tasks/t")).json()
        assert (told["state"], told["source"]) == ("SUCCESS", "backend")
        assert (told["result"], told["final"], told["worker"]) == ("42", True, "w1@h")
        waited = (await ask.get("/api/v1/tasks/t/wait?timeout=0")).json()
        assert waited["state"] == "SUCCESS"
        unheard = (await ask.get("/api/v1/tasks/unheard")).json()
        assert (unheard["state"], unheard["exception"]) == (
            "FAILURE",
            "ValueError('no')",
        )


async def test_a_wait_that_nobody_ends_finds_the_result(url: str) -> None:
    app = make_app(url, url)
    async with serving(url, celery=app) as server, asking(server) as ask:
        await unwatched(server)
        begun = time.monotonic()
        app.backend.store_result("t", 1, "SUCCESS")
        told = (await ask.get("/api/v1/tasks/t/wait?timeout=30")).json()
        assert told["state"] == "SUCCESS"
        assert time.monotonic() - begun < 20


async def test_the_client_is_told_once(url: str) -> None:
    told: list[str] = []
    async with serving(url) as server:
        await unwatched(server)
        async with Herald(server.url, TOKEN, tell=told.append) as herald:
            await herald.task("t")
            await herald.task("t")
    assert len(told) == 1
    assert told[0].startswith("this may be outdated: Herald has not been up to date")
