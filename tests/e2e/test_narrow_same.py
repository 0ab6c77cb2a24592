"""What a narrow token is answered does not depend on the tasks that it may not see."""

import json
import re
from typing import Any, cast

import pytest
from fastmcp import Client

from herald_core.model.filters import Filter
from tests.support.clients.http import asking, refused
from tests.support.clients.route_requests import minted
from tests.support.herald.mcp_environment import call
from tests.support.herald.server import Server, serving
from tests.support.servers.redis import PrivateValkey

pytestmark = pytest.mark.anyio

NARROW = [
    Filter(name=("reports.*",)),
    Filter(worker=("w-mine@*",)),
    Filter(tag=("mine",)),
]
ASKED = [
    *("", "name=payroll*", "name=p*", "name=payroll.run", "name=reports.*"),
    *("worker=w-secret@*", "worker=w*", "queue=secret", "queue=*e*", "tag=secret"),
    *("state=FAILURE", "state=SUCCESS", "group=team", "limit=1", "name=*&limit=1"),
    *("name=p*&name=r*", "worker=w-mine@*&queue=secret", "ids=hidden-7,mine-1"),
]
WRITTEN = ("", "pay", "name:", "worker:", "queue:", "tag:", "kwargs.")
"""Query texts for which suggestions are asked."""

HIDDEN = 1_500
"""More than a page looks at before it is handed out as it is."""


@pytest.fixture
def url(module_valkey: PrivateValkey) -> str:
    return module_valkey.url


async def fill(server: Server, hidden: int) -> None:
    """Store ten visible tasks, and `hidden` others before and behind them."""
    mine: dict[str, Any] = {"name": "reports.daily", "queue": "mine", "tags": ("mine",)}
    other: dict[str, Any] = {"name": "payroll.run", "queue": "secret"}
    other |= {"tags": ("secret",), "group_id": "team"}
    half = hidden // 2
    for turn, (first, last) in enumerate(((0, half), (half, hidden))):
        ids = [f"hidden-{n}" for n in range(first, last)]
        if ids:
            await server.tell("received", *ids, host="w-secret@h", **other)
            await server.tell("succeeded", *ids, host="w-secret@h", runtime=7.0)
        if turn == 0:
            seen = [f"mine-{n}" for n in range(10)]
            await server.tell("received", *seen, host="w-mine@h", **mine)
            await server.tell("succeeded", *seen, host="w-mine@h", runtime=1.0)


def without_times(answer: object) -> object:
    """Return an answer without what differs from one installation to another."""
    if isinstance(answer, str):
        # No monitor writes here, which each answer says with a time.
        return re.sub(r"(Outdated|Unreliable): .*(then|wrong)\. ?", "", answer)
    if isinstance(answer, list):
        return [without_times(one) for one in cast("list[object]", answer)]
    if not isinstance(answer, dict):
        return answer
    fields = cast("dict[str, object]", answer)
    dropped = ("rev", "next", "stale", "as_of")
    kept = {
        key: without_times(value)
        for key, value in fields.items()
        if key not in dropped and not key.endswith("_at")
    }
    return kept | ({"next": True} if fields.get("next") else {})


async def answers(url: str, only: Filter, hidden: int) -> dict[str, Any]:
    """Return what a token narrowed to `only` is answered."""
    told: dict[str, Any] = {}
    async with serving(url) as server:
        await fill(server, hidden)
        token = minted(server, task_filter=only)
        async with asking(server, {"Authorization": f"Bearer {token}"}) as ask:
            for query in ASKED:
                answer = await ask.get(f"/api/v1/tasks?{query}")
                told[query] = (answer.status_code, without_times(answer.json()))
            for text in WRITTEN:
                answer = await ask.get("/api/v1/tasks/suggest", params={"q": text})
                told[f"suggest {text}"] = (answer.status_code, answer.json())
            told["stats"] = without_times((await ask.get("/api/v1/stats")).json())
        async with Client(f"{server.url}mcp", auth=token) as agent:
            for tool in ("list_tasks", "list_active_tasks", "list_task_types"):
                told[tool] = without_times(await call(agent, tool))
    return told


@pytest.mark.parametrize("only", NARROW, ids=str)
async def test_hidden_tasks_change_no_answer(url: str, only: Filter) -> None:
    with_them = await answers(url, only, HIDDEN)
    assert with_them == await answers(url, only, 0)
    assert "payroll" not in json.dumps(list(with_them.values()))


async def test_page_tokens_are_those_of_their_caller(url: str) -> None:
    async with serving(url) as server:
        await fill(server, 10)
        pages: dict[str, str] = {}
        for name in ("reports.*", "reports.d*"):
            token = minted(server, task_filter=Filter(name=(name,)))
            async with asking(server, {"Authorization": f"Bearer {token}"}) as ask:
                page = (await ask.get("/api/v1/tasks?limit=4")).json()
                pages[name] = page["next"]
                found = [task["id"] for task in page["tasks"]]
                while "next" in page:
                    path = f"/api/v1/tasks?limit=4&page={page['next']}"
                    page = (await ask.get(path)).json()
                    found += [task["id"] for task in page["tasks"]]
                assert sorted(found) == [f"mine-{n}" for n in range(10)]
                for wrong in (*pages.values(), "", "x", "a" * 300):
                    if wrong == pages[name]:
                        continue
                    answer = await ask.get(f"/api/v1/tasks?page={wrong}")
                    refused(answer, 400, "is no page token of yours")
