"""Two Celery installations on one server: separate, and each alone when one fails."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncGenerator, Iterator
from functools import partial
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from herald_core.model.events.event import Event
from herald_core.system.cancellation import cancel_tasks
from tests.support.clients.http import asking, refused
from tests.support.clients.route_requests import minted
from tests.support.clients.websocket import connected
from tests.support.herald.command_line import objects, runner_at
from tests.support.herald.process import TOKEN as PROCESS_TOKEN
from tests.support.herald.process import HeraldProcess
from tests.support.herald.server import Server, make_store, serving
from tests.support.servers.redis import PrivateValkey, private_valkey
from tests.support.wait import wait_until, wait_until_async

pytestmark = pytest.mark.anyio

STAGING = "/env/staging/api/v1"


@pytest.fixture
def other() -> Iterator[PrivateValkey]:
    """The Valkey of the environment `staging`."""
    with private_valkey() as server:
        yield server


@contextlib.asynccontextmanager
async def both(valkey: PrivateValkey, other: PrivateValkey) -> AsyncGenerator[Server]:
    """Serve the default environment, and `staging` with a store of its own."""
    staging = {"broker": other.url, "store": other.url}
    async with serving(valkey.url, environments={"staging": staging}) as server:
        [hosted] = server.app.state.hosted
        await wait_until_async(lambda: hosted.app is not None, 30, "staging is served")
        yield server


async def store_task(url: str, task_id: str) -> None:
    """Store a task of staging, as its monitor does."""
    store = make_store(url, "{herald-staging}")
    await store.open()
    try:
        now = time.time()
        event = Event(kind="received", task_id=task_id, at=now, name="staging.only")
        await store.store([event], now=now)
    finally:
        await store.close()


async def test_each_environment_has_tasks_of_its_own(
    module_valkey: PrivateValkey, other: PrivateValkey
) -> None:
    async with both(module_valkey, other) as server, asking(server) as ask:
        await server.tell("received", "here", name="default.only")
        await store_task(other.url, "there")
        listed = (await ask.get("/api/v1/tasks")).json()["tasks"]
        assert [task["id"] for task in listed] == ["here"]
        listed = (await ask.get(f"{STAGING}/tasks")).json()["tasks"]
        assert [task["id"] for task in listed] == ["there"]
        assert (await ask.get(f"{STAGING}/tasks/here")).status_code == 404
        page = await ask.get("/env/staging/")
        assert "<title>Herald</title>" in page.text
        assert (await ask.get("/env/staging")).headers["location"] == "/env/staging/"


async def test_client_commands_ask_the_environment_that_they_are_given(
    module_valkey: PrivateValkey, other: PrivateValkey
) -> None:
    async with both(module_valkey, other) as server:
        await server.tell("received", "here", name="default.only")
        await store_task(other.url, "there")
        run = partial(runner_at(server.url), HERALD_TOKEN=PROCESS_TOKEN)
        words = ("tasks", "--json")
        found = await asyncio.to_thread(run, *words, "--environment", "staging")
        assert [one["id"] for one in objects(found)] == ["there"]
        found = await asyncio.to_thread(run, *words, HERALD_ENVIRONMENT="staging")
        assert [one["id"] for one in objects(found)] == ["there"]
        found = await asyncio.to_thread(run, *words)
        assert [one["id"] for one in objects(found)] == ["here"]
        refused_ = await asyncio.to_thread(run, *words, "--environment", "none")
        assert "there is no environment 'none' here" in refused_.stderr


async def test_a_page_follows_the_tasks_of_its_environment(
    module_valkey: PrivateValkey, other: PrivateValkey
) -> None:
    async with both(module_valkey, other) as server:
        there = Server(server.app, f"{server.url}env/staging/", server.store)
        async with connected(there) as client:
            tasks = await client.subscribe("t")
            await store_task(other.url, "there")
            await wait_until_async(lambda: "there" in tasks.items, 30)
            assert "here" not in tasks.items


async def test_a_token_of_one_environment_is_refused_in_another(
    module_valkey: PrivateValkey, other: PrivateValkey
) -> None:
    async with both(module_valkey, other) as server, asking(server) as ask:
        for minted_at, elsewhere in (
            ("/api/v1", STAGING),
            (STAGING, "/api/v1"),
        ):
            body = {"scopes": ["read"]}
            token = (await ask.post(f"{minted_at}/tokens", json=body)).json()["token"]
            headers = {"Authorization": f"Bearer {token}"}
            async with asking(server, headers) as narrow:
                assert (await narrow.get(f"{minted_at}/tasks")).status_code == 200
                for path in ("tasks", "environments", "health"):
                    answer = await narrow.get(f"{elsewhere}/{path}")
                    refused(answer, 403, "this token is not for the environment")
                found = (await narrow.get(f"{minted_at}/environments")).json()
                assert len(found["environments"]) == 1


async def test_the_environments_are_listed_with_how_they_fare(
    module_valkey: PrivateValkey, other: PrivateValkey
) -> None:
    async with both(module_valkey, other) as server, asking(server) as ask:
        await server.beat()
        found = (await ask.get("/api/v1/environments")).json()
        assert found["current"] == "default"
        assert [(e["name"], e["path"], e["up"]) for e in found["environments"]] == [
            ("default", "", True),
            ("staging", "env/staging/", True),
        ]
        assert (await ask.get(f"{STAGING}/environments")).json()["current"] == "staging"
        for text in (module_valkey.url, other.url):
            assert text not in json.dumps(found)
        unknown = await ask.get("/env/nowhere/api/v1/tasks")
        refused(unknown, 404, "there is no environment 'nowhere' here")


async def test_metrics_of_another_environment_have_its_name(
    module_valkey: PrivateValkey, other: PrivateValkey
) -> None:
    async with both(module_valkey, other) as server, asking(server) as ask:
        text = (await ask.get("/metrics")).text
        assert 'herald_environment_up{environment="staging"} 1.0' in text
        assert 'herald_connections{environment="staging"} 0.0' in text
        assert "\nherald_connections 0.0" in text
        assert text.count("# TYPE herald_connections gauge") == 1
        assert "environment" not in (await ask.get("/env/staging/metrics")).text


@pytest.mark.parametrize("is_frozen", [False, True], ids=["killed", "frozen"])
async def test_the_end_of_one_store_does_not_touch_the_other_environment(
    module_valkey: PrivateValkey, other: PrivateValkey, is_frozen: bool
) -> None:
    """A frozen store takes connections and never answers, as behind a firewall."""
    async with both(module_valkey, other) as server, asking(server) as ask:
        with contextlib.ExitStack() as stack:
            if is_frozen:
                stack.enter_context(other.freeze())
            else:
                other.kill()
            requests = [ask.get(f"{STAGING}/tasks", timeout=60) for _ in range(4)]
            waiting = [asyncio.create_task(one) for one in requests]
            for number in range(20):
                await server.tell("received", f"t{number}", name="default.only")
                answer = await ask.get(f"/api/v1/tasks/t{number}", timeout=30)
                assert answer.status_code == 200
            metrics = (await ask.get("/metrics", timeout=60)).text
            assert "\nherald_store_up 1.0" in metrics
            if not is_frozen:
                answers = await asyncio.gather(*waiting)
                assert {answer.status_code for answer in answers} == {503}
        await cancel_tasks(*waiting)


async def test_a_token_of_one_environment_learns_nothing_of_others(
    module_valkey: PrivateValkey, other: PrivateValkey
) -> None:
    async with both(module_valkey, other) as server:
        headers = {"Authorization": f"Bearer {minted(server)}"}
        async with asking(server, headers) as ask:
            for path in ("/api/v1/environments", "/api/v1/health", "/metrics"):
                assert "staging" not in (await ask.get(path)).text


@pytest.mark.celery
def test_one_command_runs_a_monitor_for_each_environment(
    module_valkey: PrivateValkey, other: PrivateValkey, tmp_path: Path
) -> None:
    url = module_valkey.url
    environments = json.dumps({"staging": {"broker": other.url}})
    words = ("up", "--broker", url, "--backend", url, "--store", url)
    herald = HeraldProcess(tmp_path / "log", *words, HERALD_ENVIRONMENTS=environments)
    herald.start()
    try:

        def read() -> list[dict[str, object]]:
            request = Request(
                f"{herald.url}api/v1/environments",
                headers={"Authorization": f"Bearer {PROCESS_TOKEN}"},
            )
            with urlopen(request, timeout=20) as answer:
                return list(json.loads(answer.read())["environments"])

        found = wait_until(
            read,
            60,
            "both are up to date",
            accept=lambda all_: (
                not any(one.get("problem") or not one["up"] for one in all_)
            ),
        )
        assert [one["name"] for one in found] == ["default", "staging"]
    finally:
        herald.stop()


async def test_a_server_starts_while_the_store_of_an_environment_is_away(
    module_valkey: PrivateValkey,
) -> None:
    nowhere = {"broker": "redis://127.0.0.1:1/0", "store": "redis://127.0.0.1:1/0"}
    async with (
        serving(module_valkey.url, environments={"staging": nowhere}) as server,
        asking(server) as ask,
    ):
        assert (await ask.get("/api/v1/tasks")).status_code == 200
        refused(await ask.get(f"{STAGING}/tasks"), 503, "staging is not available")
        found = (await ask.get("/api/v1/environments")).json()["environments"]
        assert [(one["name"], one["up"]) for one in found] == [
            ("default", True),
            ("staging", False),
        ]
        metrics = (await ask.get("/metrics")).text
        assert 'herald_environment_up{environment="staging"} 0.0' in metrics
