"""Workers over HTTP: one that is gone is dismissed, one that lives is not."""

from __future__ import annotations

import time

import pytest

from herald_core.model.filters import Filter
from tests.support.clients.http import asking, refused
from tests.support.clients.websocket import connected
from tests.support.herald.memory_server import gone_worker, worker_of
from tests.support.herald.server import Server, let_in, serving
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = pytest.mark.anyio

WORKERS = "/api/v1/workers"


async def heard(server: Server) -> None:
    """Store a worker that lives, and one that was last heard a minute ago."""
    workers = [worker_of("celery@stays"), gone_worker("celery@left/1")]
    await server.store.store([], workers, now=time.time())


async def test_a_worker_that_is_gone_is_dismissed_and_watchers_are_told(
    module_valkey: PrivateValkey,
) -> None:
    async with serving(module_valkey.url) as server, asking(server) as ask:
        await heard(server)
        async with connected(server) as client:
            workers = await client.subscribe("w", topic="workers")
            await wait_until_async(lambda: "celery@left/1" in workers.items)
            answer = await ask.delete(f"{WORKERS}/celery%40left%2F1")
            await wait_until_async(lambda: list(workers.items) == ["celery@stays"])
        assert answer.status_code == 200
        assert answer.json()["hostname"] == "celery@left/1"
        assert answer.json()["state"] == "silent"
        left = (await ask.get(WORKERS)).json()["workers"]
        assert [one["id"] for one in left] == ["celery@stays"]
        [order] = (await ask.get("/api/v1/audit")).json()["orders"]
        assert (order["what"], order["target"]) == ("dismiss_worker", "celery@left/1")


async def test_who_lives_or_is_not_known_is_not_dismissed(
    module_valkey: PrivateValkey,
) -> None:
    async with serving(module_valkey.url) as server, asking(server) as ask:
        await heard(server)
        refused(await ask.delete(f"{WORKERS}/celery@stays"), 409, "is online: only one")
        refused(await ask.delete(f"{WORKERS}/nobody"), 404, "no worker 'nobody'")
        assert len((await ask.get(WORKERS)).json()["workers"]) == 2
        assert (await ask.get("/api/v1/audit")).json()["orders"] == []


async def test_only_admins_who_see_everything_dismiss(
    module_valkey: PrivateValkey,
) -> None:
    async with serving(module_valkey.url) as server:
        await heard(server)
        let_in(server, "no-admin", scopes=frozenset(["read", "start", "cancel"]))
        let_in(server, "narrow", task_filter=Filter(name=("shop.*",)))
        for token in ("no-admin", "narrow"):
            headers = {"Authorization": f"Bearer {token}"}
            async with asking(server, headers) as ask:
                answer = await ask.delete(f"{WORKERS}/celery@left/1")
                assert answer.status_code == 403, token
        assert len(await server.store.list_workers(now=time.time())) == 2


async def test_workers_are_listed_in_parts(module_valkey: PrivateValkey) -> None:
    async with serving(module_valkey.url) as server, asking(server) as ask:
        names = [f"w{n}@h" for n in range(5)]
        workers = [worker_of(name) for name in names[1:]] + [gone_worker("w0@h")]
        await server.store.store([], workers, now=time.time())
        found: list[str] = []
        query: dict[str, str] = {"limit": "2"}
        while True:
            told = (await ask.get(WORKERS, params=query)).json()
            assert (told["total"], told["whole"]) == (5, False)
            assert told["states"] == {"silent": 1, "online": 4}
            found += [one["id"] for one in told["workers"]]
            if told["next"] is None:
                break
            query["after"] = told["next"]
        assert found == names
        assert (await ask.get(WORKERS)).json()["whole"] is True
        refused(await ask.get(f"{WORKERS}?limit=0"), 400, "limit must be a whole")
        screen = (await ask.get("/api/v1/overview")).json()
        assert (screen["workers_total"], screen["workers_whole"]) == (5, True)


async def test_a_snapshot_of_many_workers_comes_in_pages(
    module_valkey: PrivateValkey,
) -> None:
    async with serving(module_valkey.url) as server:
        names = [f"celery@{number:03}" for number in range(250)]
        workers = [worker_of(name) for name in names]
        await server.store.store([], workers, now=time.time())
        async with connected(server) as client:
            journal = await client.subscribe("w", topic="workers")
            await wait_until_async(lambda: journal.cursor)
            pages = client.of("data")
        assert [len(page["put"]) for page in pages] == [100, 100, 50]
        assert ["reset" in page for page in pages] == [True, False, False]
        assert ["cursor" in page for page in pages] == [False, False, True]
        assert sorted(journal.items) == names
