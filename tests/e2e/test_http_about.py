"""The HTTP door about one task, further: why it waits, its family, its result."""

import json
from typing import Any, cast
from uuid import uuid4

import pytest
import redis
from celery import Celery

from herald_core.model.filters import Filter
from herald_server.insight import family_tree
from tests.support.celery.messages import store_result
from tests.support.celery.worker import AppFactory
from tests.support.clients.http import asking, refused
from tests.support.clients.route_requests import minted
from tests.support.herald.server import serving, watched
from tests.support.servers.redis import PrivateValkey

pytestmark = [
    pytest.mark.anyio,
    # Celery stores results by a command that redis-py 8 calls deprecated.
    pytest.mark.filterwarnings("ignore:Call to deprecated setex"),
]


@pytest.fixture
def url(module_valkey: PrivateValkey) -> str:
    return module_valkey.url


@pytest.fixture
def app(url: str, project_app: AppFactory) -> Celery:
    return project_app(url, url)


# -- why ---------------------------------------------------------------------------


async def test_why_a_task_waits_is_told(url: str) -> None:
    async with serving(url) as server, asking(server) as ask:
        await server.tell("sent", "t", name="shop.pay", queue="pay")
        told = (await ask.get("/api/v1/tasks/t/why")).json()
        assert (told["reason"], told["queue"], told["state"]) == (
            *("no_worker", "pay"),
            "PENDING",
        )
        assert "Start a worker" in told["advice"]
        unknown = (await ask.get("/api/v1/tasks/never/why")).json()
        assert (unknown["reason"], unknown["state"]) == ("unknown", "UNKNOWN")


async def test_a_narrow_token_asks_about_its_own_tasks_only(url: str) -> None:
    async with serving(url) as server:
        await server.tell("received", "mine", "other", name="n", host="celery@h")
        token = minted(server, task_filter=Filter(ids=("mine",)))
        async with asking(server, {"Authorization": f"Bearer {token}"}) as ask:
            mine = (await ask.get("/api/v1/tasks/mine/why")).json()
            other = (await ask.get("/api/v1/tasks/other/why")).json()
            assert mine["reason"] == "prefetched"
            assert (other["reason"], other["state"]) == ("unknown", "UNKNOWN")
            for path in ("result", "tree"):
                answer = await ask.get(f"/api/v1/tasks/other/{path}")
                refused(answer, 404, "nothing is known")
            refused(await ask.get("/api/v1/overview"), 403, "narrowed to some tasks")


# -- its family --------------------------------------------------------------------


async def test_a_task_s_family_is_what_has_its_root(url: str) -> None:
    async with serving(url) as server, asking(server) as ask:
        await server.tell("received", "root", name="a", root_id="root", args="(1,)")
        await server.tell("received", "x", "y", root_id="root", parent_id="root")
        await server.tell("received", "z", root_id="root", parent_id="x")
        await server.tell("received", "stranger", root_id="stranger")
        for asked in ("root", "z"):
            told = (await ask.get(f"/api/v1/tasks/{asked}/tree")).json()
            assert (told["root"], told["whole"]) == ("root", True)
            parents = {task["id"]: task.get("parent_id") for task in told["tasks"]}
            assert parents == {"root": None, "x": "root", "y": "root", "z": "x"}
            assert "args" not in told["tasks"][0]


async def test_parents_and_children_are_found_where_no_root_is_told(url: str) -> None:
    async with serving(url) as server, asking(server) as ask:
        await server.tell("received", "a")
        await server.tell("received", "b", parent_id="a")
        await server.tell("received", "c", parent_id="b")
        told = (await ask.get("/api/v1/tasks/b/tree")).json()
        assert told["root"] == "a"
        assert [task["id"] for task in told["tasks"]] == ["a", "b", "c"]


async def test_a_large_family_is_cut_and_says_so(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(family_tree, "MAX_TASKS", 3)
    monkeypatch.setattr(family_tree, "PAGE_SIZE", 2)
    async with serving(url) as server, asking(server) as ask:
        await server.tell("received", "root", root_id="root")
        await server.tell("received", *"abcdef", root_id="root", parent_id="root")
        told = (await ask.get("/api/v1/tasks/f/tree")).json()
        assert (len(told["tasks"]), told["whole"]) == (3, False)
        assert "f" in {task["id"] for task in told["tasks"]}
        refused(await ask.get("/api/v1/tasks/never/tree"), 404, "nothing is known")


# -- its result --------------------------------------------------------------------


async def test_a_result_is_whole_from_the_backend_and_without_secrets(
    url: str, app: Celery
) -> None:
    long = {"password": "hunter2", "rows": list(range(2_000))}
    done = store_result(app, long)
    failed = store_result(app, ValueError("no"), "FAILURE")
    async with serving(url, celery=app) as server, asking(server) as ask:
        await server.tell("succeeded", done, result="{'rows': [0, 1, …")
        await server.tell("failed", failed, exception="ValueError('no')")
        told = (await ask.get(f"/api/v1/tasks/{done}/result")).json()
        assert (told["source"], told["whole"], told["state"]) == (
            *("backend", True),
            "SUCCESS",
        )
        assert "hunter2" not in told["result"]
        assert told["result"].endswith("1998, 1999]}")
        cut = (await ask.get(f"/api/v1/tasks/{done}/result?most=100")).json()
        assert (cut["whole"], cut["size"] > 5_000) == (False, True)
        assert cut["message"] == f"Truncated: the result is {cut['size']:,} bytes."
        wrong = (await ask.get(f"/api/v1/tasks/{failed}/result")).json()
        assert (wrong["exception"], wrong["whole"]) == ("ValueError('no')", True)
        refused(await ask.get(f"/api/v1/tasks/{done}/result?most=0"), 400, "most must")


async def test_a_task_that_is_known_nowhere_has_no_result(
    url: str, app: Celery
) -> None:
    unheard = store_result(app, 1)
    async with serving(url, celery=app) as server, asking(server) as ask:
        await watched(server)
        refused(await ask.get("/api/v1/tasks/never/result"), 404, "nothing is known")
        told = (await ask.get(f"/api/v1/tasks/{unheard}/result")).json()
        assert (told["source"], told["result"]) == ("backend", "1")


async def test_without_a_backend_what_the_event_told_is_said(
    url: str, project_app: AppFactory
) -> None:
    async with (
        serving(url, celery=project_app(url)) as server,
        asking(server) as ask,
    ):
        await server.tell("succeeded", "short", result="7")
        await server.tell("succeeded", "long", result="[1, 2, …")
        await server.tell("started", "runs")
        short = (await ask.get("/api/v1/tasks/short/result")).json()
        assert (short["source"], short["whole"], short["result"]) == (
            "event",
            True,
            "7",
        )
        long = (await ask.get("/api/v1/tasks/long/result")).json()
        assert not long["whole"]
        assert "no result backend is configured" in long["message"]
        runs = (await ask.get("/api/v1/tasks/runs/result")).json()
        assert (runs["message"], runs["whole"]) == ("It has not ended.", False)


async def test_a_backend_that_is_away_is_said(
    url: str, project_app: AppFactory
) -> None:
    app = project_app(url, "redis://127.0.0.1:1/0")
    async with serving(url, celery=app) as server, asking(server) as ask:
        await server.tell("succeeded", "t", result="[1, …")
        told = (await ask.get("/api/v1/tasks/t/result")).json()
        assert (told["result"], told["whole"]) == ("[1, …", False)
        assert "127.0.0.1:1" in told["message"]


# -- groups of late, and ids like routes --------------------------------------------


async def test_the_groups_of_late_are_lines(url: str) -> None:
    async with serving(url) as server, asking(server) as ask:
        own = {"source": "submitted", "host": ""}
        await server.tell("sent", "a1", "a2", group_id="older", name="n", **own)
        await server.tell("sent", "b1", "b2", "b3", group_id="newer", name="m", **own)
        await server.tell("sent", "alone")
        await server.tell("failed", "b1")
        await server.tell("succeeded", "a1", "a2", result="1")
        told = (await ask.get("/api/v1/groups")).json()
        newer, older = told["groups"]
        assert (newer["group_id"], newer["counts"]) == (
            "newer",
            {"PENDING": 2, "FAILURE": 1},
        )
        assert (newer["total"], newer["finished"], newer["done"]) == (3, 1, False)
        assert (older["done"], older["names"]) == (True, ["n"])
        assert told["whole"]
        one = (await ask.get("/api/v1/groups?limit=1")).json()
        assert ([group["group_id"] for group in one["groups"]], one["whole"]) == (
            ["newer"],
            False,
        )


async def test_a_group_is_listed_however_many_tasks_came_since(url: str) -> None:
    async with serving(url) as server, asking(server) as ask:
        await server.tell("sent", "member", group_id="g")
        await server.tell("sent", *(f"t{number}" for number in range(2_500)))
        told = (await ask.get("/api/v1/groups")).json()
        assert [group["group_id"] for group in told["groups"]] == ["g"]
        assert told["whole"]


@pytest.mark.parametrize("suffix", ["why", "tree", "result"])
async def test_an_id_may_end_like_a_route(url: str, suffix: str) -> None:
    async with serving(url) as server, asking(server) as ask:
        await server.tell("started", f"a/{suffix}")
        told = (await ask.get(f"/api/v1/tasks/a%2F{suffix}")).json()
        assert (told["id"], told["state"]) == (f"a/{suffix}", "STARTED")


# -- traces ------------------------------------------------------------------------

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


async def test_a_start_within_a_trace_hands_it_on(url: str, app: Celery) -> None:
    async with serving(url, celery=app) as server, asking(server) as ask:
        body = {"task_type": "metrics_snapshot", "tags": ["mine"]}
        headers = {"traceparent": PARENT}
        sent = await ask.post("/api/v1/tasks", json=body, headers=headers)
        assert sent.status_code == 201, sent.text
        found = (await ask.get(f"/api/v1/tasks?tag=trace_id:{TRACE}")).json()["tasks"]
        assert [task["id"] for task in found] == [sent.json()["task_id"]]
        assert sorted(found[0]["tags"]) == ["mine", f"trace_id:{TRACE}"]
    with redis.Redis.from_url(url) as client:
        [message] = client.lrange(cast(Any, app).conf.task_default_queue, 0, -1)
    assert json.loads(message)["headers"]["traceparent"] == PARENT


async def test_a_stamped_trace_is_told_with_the_result(url: str, app: Celery) -> None:
    task_id = str(uuid4())
    meta = {"status": "SUCCESS", "result": 1, "task_id": task_id, "traceparent": PARENT}
    backend = cast(Any, app).backend
    backend.set(backend.get_key_for_task(task_id), json.dumps(meta))
    async with serving(url, celery=app) as server, asking(server) as ask:
        await server.tell("succeeded", task_id, result="1")
        told = (await ask.get(f"/api/v1/tasks/{task_id}/result")).json()
        assert (told["trace_id"], told["result"]) == (TRACE, "1")
