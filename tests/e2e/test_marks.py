"""A deploy is marked, shown on charts, and compared with: by every interface."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator
from functools import partial

import pytest

from herald_client import Herald
from herald_core.model.filters import Filter
from herald_core.model.tasks.views import to_rfc3339
from tests.support.clients.http import asking, refused, told
from tests.support.clients.route_requests import minted
from tests.support.clients.websocket import connected
from tests.support.herald.command_line import runner_at
from tests.support.herald.server import Server, serving
from tests.support.herald.uvicorn_server import TOKEN
from tests.support.model.deploys import store_deploy
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = pytest.mark.anyio

MARKS = "/api/v1/marks"


@pytest.fixture
async def server(module_valkey: PrivateValkey) -> AsyncGenerator[Server]:
    async with serving(module_valkey.url) as running:
        yield running


async def test_a_mark_is_set_pushed_listed_charted_and_deleted(
    module_valkey: PrivateValkey,
) -> None:
    async with (
        serving(module_valkey.url) as server,
        asking(server) as ask,
        connected(server) as client,
    ):
        topic = await client.subscribe("m", topic="marks")
        body = {"what": "deploy 4f1c", "version": "4f1c"}
        answer = await ask.post(MARKS, json=body)
        assert answer.status_code == 201
        mark = answer.json()
        assert (mark["what"], mark["kind"], mark["who"]) == (
            "deploy 4f1c",
            "deploy",
            "owner",
        )
        await wait_until_async(lambda: mark["id"] in topic.items)
        assert told(await ask.get(MARKS)) == {"marks": [mark]}
        series = (await ask.get("/api/v1/stats/series")).json()["marks"]
        assert [(one["kind"], one["what"]) for one in series] == [
            ("deploy", "deploy 4f1c")
        ]
        gone = await ask.delete(f"{MARKS}/{mark['id']}")
        assert gone.json()["id"] == mark["id"]
        await wait_until_async(lambda: not topic.items)
        refused(await ask.delete(f"{MARKS}/{mark['id']}"), 404, "no mark")
        orders = (await ask.get("/api/v1/audit")).json()["orders"]
        assert [one["what"] for one in orders] == ["delete_mark", "mark"]


async def test_a_mark_of_the_same_time_that_is_sent_again_is_the_same(
    module_valkey: PrivateValkey,
) -> None:
    async with serving(module_valkey.url) as server, asking(server) as ask:
        body = {"what": "deploy 4f1c", "at": to_rfc3339(time.time() - 600)}
        ids = {(await ask.post(MARKS, json=body)).json()["id"] for _ in range(2)}
        assert len(ids) == 1
        assert len((await ask.get(MARKS)).json()["marks"]) == 1


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({}, "what must be a text of 1 to 200 printable characters"),
        ({"what": "  "}, "what must be a text"),
        ({"what": "a\nb"}, "what must be a text"),
        ({"what": "x" * 201}, "what must be a text"),
        ({"what": "x", "version": 4}, "version must be a text of 1 to 128"),
        ({"what": "x", "at": "yesterday"}, "at must be a time with its offset"),
        ({"what": "x", "at": "2026-01-31T12:00:00"}, "at must be a time with its"),
        ({"what": "x", "at": "2001-01-31T12:00:00Z"}, "at must lie in the last 7"),
        ({"what": "x", "at": "2999-01-31T12:00:00Z"}, "at must lie in the last 7"),
        ({"what": "x", "why": "y"}, "unknown key 'why'; it takes what"),
    ],
)
async def test_a_wrong_mark_is_refused_with_a_sentence(
    server: Server, body: dict[str, object], sentence: str
) -> None:
    async with asking(server) as ask:
        refused(await ask.post(MARKS, json=body), 400, sentence)


async def test_a_token_for_marks_sets_marks_and_does_nothing_else(
    server: Server,
) -> None:
    token = minted(server, scopes=frozenset({"mark"}))
    headers = {"Authorization": f"Bearer {token}"}
    async with asking(server, headers) as ask:
        answer = await ask.post(MARKS, json={"what": "deploy from CI"})
        assert (answer.status_code, answer.json()["who"]) == (201, "owner/test")
        refused(await ask.get(MARKS), 403, "lacks the scope read")
    reader = minted(server, scopes=frozenset({"read"}))
    async with asking(server, {"Authorization": f"Bearer {reader}"}) as ask:
        body = {"what": "deploy"}
        refused(await ask.post(MARKS, json=body), 403, "lacks the scope mark")


async def test_a_narrow_token_neither_sees_nor_sets_marks(server: Server) -> None:
    token = minted(server, task_filter=Filter(name=("reports.*",)))
    async with asking(server, {"Authorization": f"Bearer {token}"}) as ask:
        sentence = "not for a token that is narrowed to some tasks"
        refused(await ask.post(MARKS, json={"what": "deploy"}), 403, sentence)
        refused(await ask.delete(f"{MARKS}/m1"), 403, sentence)
        for path in (MARKS, "/api/v1/slower", "/api/v1/types/reports.a/compare"):
            refused(await ask.get(path), 403, sentence)


async def test_what_became_slower_is_told_alike_by_rest_client_and_command(
    module_valkey: PrivateValkey,
) -> None:
    now = time.time()
    async with serving(module_valkey.url) as server, asking(server) as ask:
        await server.beat()
        await store_deploy(server.store, now - 1_800, now)
        async with Herald(server.url, TOKEN) as herald:
            mark = await herald.mark("deploy 4f1c", at=to_rfc3339(now - 1_800))
            slower = await herald.slower()
            one = await herald.compare("shop.mail", mark.id, "30m")
        assert [c.name for c in slower.slower] == ["shop.charge"]
        assert (one.comparison.runtime, one.comparison.failures) == ("similar", "more")
        answer = told(await ask.get(f"/api/v1/slower?mark={mark.id}"))
        assert [c["name"] for c in answer["failing_more"]] == ["shop.mail"]
        run = runner_at(server.url)
        shown = await asyncio.to_thread(run, "slower", HERALD_TOKEN=TOKEN)
        assert shown.exit_code == 1
        head, charge, mail, message = shown.stdout.splitlines()
        assert head.split() == ["TASK", "MEDIAN", "P95", "FACTOR", "FAILURES", "RUNS"]
        assert charge.split()[:2] == ["shop.charge", "939"]
        assert "3.3% → 66.7%" in mail
        assert message == answer["message"]
        words = ("slower", "shop.quiet", "--json")
        as_json = await asyncio.to_thread(run, *words, HERALD_TOKEN=TOKEN)
        assert json.loads(as_json.stdout)["comparison"]["runtime"] == "unknown"
        assert as_json.exit_code == 0


async def test_what_cannot_be_compared_is_refused_with_a_sentence(
    module_valkey: PrivateValkey,
) -> None:
    async with serving(module_valkey.url) as server, asking(server) as ask:
        refused(await ask.get("/api/v1/slower"), 404, "no mark is known yet")
        compare = "/api/v1/types/shop%2Fcharge/compare"
        refused(await ask.get(f"{compare}?mark=m9"), 404, "no mark 'm9' is known")
        for path in ("/api/v1/slower", compare):
            refused(await ask.get(f"{path}?window=1d"), 400, "window must be a time")
            refused(await ask.get(f"{path}?since=1"), 400, "unknown key 'since'")


async def test_the_command_marks_lists_and_deletes(server: Server) -> None:
    run = partial(runner_at(server.url), HERALD_TOKEN=TOKEN)

    def use() -> None:
        made = run("mark", "deploy 77aa", "--version", "77aa")
        mark_id = made.stdout.strip()
        assert made.exit_code == 0
        assert mark_id in run("mark", "--list").stdout
        assert "deleted" in run("mark", "--delete", mark_id).stdout
        assert mark_id not in run("mark", "--list", "--json").stdout
        assert run("mark").exit_code == 2
        assert run("mark", "x", "--list").exit_code == 2

    await asyncio.to_thread(use)
