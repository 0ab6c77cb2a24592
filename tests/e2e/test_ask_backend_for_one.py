"""A question for one id that nothing was heard of asks the result backend."""

from pathlib import Path
from typing import Any, cast

import pytest
from celery import Celery

from herald_core.model.filters import Filter
from tests.support.celery.worker import AppFactory
from tests.support.clients.http import asking
from tests.support.clients.websocket import at_end, connected
from tests.support.herald.server import let_in, serving, watched
from tests.support.servers.redis import PrivateValkey

pytestmark = [
    pytest.mark.anyio,
    # Celery's Redis backend uses a command that redis-py calls old.
    pytest.mark.filterwarnings("ignore:Call to deprecated:DeprecationWarning"),
]


@pytest.fixture
def url(module_valkey: PrivateValkey) -> str:
    return module_valkey.url


def store_result(app: Celery, task_id: str) -> None:
    """Store the result of a task as a worker does, without any event."""
    cast(Any, app).backend.store_result(task_id, 7, "SUCCESS")


BACKENDS = ["redis", "db+sqlite:///{folder}/results.db", "file://{folder}"]


@pytest.mark.parametrize("backend", BACKENDS)
async def test_every_door_finds_it_while_a_monitor_runs(
    url: str, project_app: AppFactory, tmp_path: Path, backend: str
) -> None:
    place = url if backend == "redis" else backend.format(folder=tmp_path)
    app = project_app(url, place)
    store_result(app, "unheard")
    async with serving(url, celery=app) as server, asking(server) as ask:
        await watched(server)
        wait = await ask.get("/api/v1/tasks/unheard/wait?timeout=30")
        assert (wait.status_code, wait.json()["state"]) == (200, "SUCCESS")
        told = (await ask.get("/api/v1/tasks/unheard")).json()
        assert (told["state"], told["source"], told["result"]) == (
            "SUCCESS",
            "backend",
            "7",
        )
        other = await ask.get("/api/v1/tasks/never")
        assert (other.status_code, other.json()["state"]) == (404, "UNKNOWN")


async def test_it_is_told_to_watchers_as_well(
    url: str, project_app: AppFactory
) -> None:
    app = project_app(url, url)
    async with serving(url, celery=app) as server, asking(server) as ask:
        await watched(server)
        async with connected(server) as client:
            journal = await client.subscribe()
            store_result(app, "asked-for")
            await ask.get("/api/v1/tasks/asked-for")
            await at_end(server, journal)
            assert "asked-for" in journal.items


async def test_a_narrow_token_finds_nothing_that_it_may_not_see(
    url: str, project_app: AppFactory
) -> None:
    app = project_app(url, url)
    for task_id in ("mine", "other"):
        store_result(app, task_id)
    async with serving(url, celery=app) as server:
        let_in(server, "narrow", task_filter=Filter(ids=("mine",)))
        await watched(server)
        headers = {"Authorization": "Bearer narrow"}
        async with asking(server, headers) as ask:
            states = [
                (await ask.get(f"/api/v1/tasks/{id_}")).json()["state"]
                for id_ in ("mine", "other")
            ]
        assert states == ["SUCCESS", "UNKNOWN"]
        assert list(await server.revs()) == ["mine"]
