"""The extension `io.modelcontextprotocol/tasks`, on the wire."""

import asyncio
import json
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, cast
from uuid import uuid4

import httpx2
import pytest
from celery import Celery

from herald_core.store.redis.store import RedisStore
from herald_server.auth.identity import Identity
from herald_server.mcp.tasks_extension.extension import TasksExtension
from tests.support.celery.worker import AppFactory
from tests.support.herald.mcp_environment import SNAPSHOT, House, house, over_http
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = pytest.mark.anyio

DAY_MS = 86_400_000
VERSION = "2026-07-28"
TASKS = "io.modelcontextprotocol/tasks"
META = "io.modelcontextprotocol"


class Wire:
    """A client of the newer protocol that speaks bare JSON."""

    def __init__(self, http: httpx2.AsyncClient, url: str, able: bool) -> None:
        self._http = http
        self._url = url
        self.able: dict[str, Any] = {"extensions": {TASKS: {}}} if able else {}

    def _request(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        meta = {
            f"{META}/protocolVersion": VERSION,
            f"{META}/clientInfo": {"name": "test", "version": "0"},
            f"{META}/clientCapabilities": self.able,
        }
        return {
            "jsonrpc": "2.0",
            "id": 1,
            "method": method,
            "params": {**params, "_meta": meta},
        }

    def _headers(self, method: str, name: str | None) -> dict[str, str]:
        headers = {
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": VERSION,
            "Mcp-Method": method,
        }
        return {**headers, "Mcp-Name": name} if name else headers

    async def __call__(
        self, method: str, named: str | None = None, /, **params: Any
    ) -> dict[str, Any]:
        """Send a request and return its answer: `result` or `error`."""
        answer = await self._http.post(
            self._url,
            json=self._request(method, params),
            headers=self._headers(method, named),
        )
        if answer.headers["content-type"].startswith("application/json"):
            return cast("dict[str, Any]", answer.json())
        frames = [line[6:] for line in answer.text.splitlines() if line[:5] == "data:"]
        return cast("dict[str, Any]", json.loads(frames[-1]))

    @asynccontextmanager
    async def listen(self, *ids: str) -> AsyncGenerator[Any, None]:
        """Open a stream that tells of tasks; yields what returns the next frame."""
        method = "subscriptions/listen"
        request = self._request(method, {"notifications": {"taskIds": list(ids)}})
        async with self._http.stream(
            "POST", self._url, json=request, headers=self._headers(method, None)
        ) as answer:
            lines = answer.aiter_lines()

            async def following() -> dict[str, Any]:
                async with asyncio.timeout(30):
                    while not (line := await anext(lines)).startswith("data:"):
                        pass
                return cast("dict[str, Any]", json.loads(line[5:]))

            yield following

    async def start(self) -> dict[str, Any]:
        """Start a task with a tool call and return the whole answer."""
        tool = "start_background_task"
        arguments = {"task_type": "metrics_snapshot"}
        return await self("tools/call", tool, name=tool, arguments=arguments)


@pytest.fixture
def app(module_valkey: PrivateValkey, project_app: AppFactory) -> Celery:
    """An app on a private broker, which is its result backend too."""
    return project_app(module_valkey.url, module_valkey.url)


@asynccontextmanager
async def wire(
    app: Celery | None = None, able: bool = True, *scopes: str
) -> AsyncGenerator[tuple[House, Wire], None]:
    who = Identity("me", frozenset(scopes or ("read", "start", "cancel", "admin")))
    async with (
        house(app) as made,
        over_http(made, {"me": who}) as url,
        httpx2.AsyncClient(headers={"Authorization": "Bearer me"}, timeout=30) as http,
    ):
        yield made, Wire(http, url, able)


async def test_a_start_becomes_a_task_with_the_id_of_celery(app: Celery) -> None:
    async with wire(app) as (made, client):
        result = (await client.start())["result"]
        stored = await made.store.get_task(result["taskId"])
    assert result["resultType"] == "task"
    assert result["status"] == "working"
    assert stored.name == SNAPSHOT
    assert result["pollIntervalMs"] == 1000
    assert result["ttlMs"] == 7 * DAY_MS
    assert result["createdAt"] == stored.submitted_at


async def test_clients_without_the_extension_get_the_plain_answer(app: Celery) -> None:
    async with wire(app, False) as (_, client):
        result = (await client.start())["result"]
    assert result["resultType"] == "complete"
    assert result["structuredContent"]["status"] == "queued"


async def test_a_refused_start_is_an_ordinary_error_of_the_tool(app: Celery) -> None:
    tool = "start_background_task"
    async with wire(app) as (_, client):
        arguments = {"task_type": "metrics_snapsho"}
        answer = await client("tools/call", tool, name=tool, arguments=arguments)
    assert answer["result"]["isError"] is True
    assert "did you mean" in answer["result"]["content"][0]["text"]


async def test_a_start_that_asks_a_person_becomes_a_task_once_they_agree(
    app: Celery,
) -> None:
    tool = "start_background_task"
    call: dict[str, Any] = {
        "name": tool,
        "arguments": {
            "task_type": "resilience_crisis_activation",
            "params": {"severity": "minor", "reason": "storm"},
        },
    }
    async with wire(app) as (made, client):
        client.able["elicitation"] = {"form": {}}
        asked = (await client("tools/call", tool, **call))["result"]
        assert await made.store.count_by_state() == {}
        agreed = {"confirm": {"action": "accept", "content": {"confirm": True}}}
        never = await client("tools/call", tool, **call, inputResponses=agreed)
        assert await made.store.count_by_state() == {}
        state = {"requestState": asked["requestState"], "inputResponses": agreed}
        other = {**call["arguments"], "params": {"severity": "critical", "reason": ""}}
        swapped = await client("tools/call", tool, name=tool, arguments=other, **state)
        assert await made.store.count_by_state() == {}
        begun = await client("tools/call", tool, **call, **state)
        twice = await client("tools/call", tool, **call, **state)
        assert await made.store.count_by_state() == {"PENDING": 1}
    # An answer to a question that was never asked, or to another one, is none.
    assert never["result"]["resultType"] == "input_required"
    assert "requestState" in swapped["error"]["message"]
    assert twice["result"]["resultType"] == "input_required"
    assert asked["resultType"] == "input_required"
    assert "storm" in asked["inputRequests"]["confirm"]["params"]["message"]
    assert begun["result"]["resultType"] == "task"


async def test_each_step_of_a_task_is_pushed(app: Celery) -> None:
    async with wire(app) as (made, client):
        task_id = (await client.start())["result"]["taskId"]
        async with client.listen(task_id, "unknown") as following:
            first = await following()
            assert first["method"] == "notifications/subscriptions/acknowledged"
            assert first["params"]["notifications"]["taskIds"] == [task_id]
            now = await following()
            assert now["method"] == "notifications/tasks"
            assert now["params"]["status"] == "working"
            assert now["params"]["_meta"][f"{META}/subscriptionId"] == 1
            await made.started(task_id)
            await made.progress(task_id, 50, "half")
            while "half" not in now["params"]["statusMessage"]:
                now = await following()
            assert now["params"]["statusMessage"] == "started 50%: half"
            await made.tell("succeeded", task_id, result="{'metrics': 1}")
            end = (await following())["params"]
        await wait_until_async(lambda: not made.hub.count_subscribers())
    assert end["status"] == "completed"
    assert DAY_MS <= end["ttlMs"] < 2 * DAY_MS
    assert end["result"]["isError"] is False
    assert end["result"]["structuredContent"]["result"] == {"metrics": 1}


async def test_getting_a_task_tells_its_result(app: Celery) -> None:
    async with wire(app) as (made, client):
        task_id = (await client.start())["result"]["taskId"]
        await made.started(task_id)
        await made.tell("succeeded", task_id, result="[1, 2]")
        told = (await client("tasks/get", task_id, taskId=task_id))["result"]
        assert DAY_MS <= told["ttlMs"] < 2 * DAY_MS
        tools = (await client("tools/list"))["result"]["tools"]
    assert told["resultType"] == "complete"
    assert told["status"] == "completed"
    shown = told["result"]["structuredContent"]
    schema = next(t for t in tools if t["name"] == "start_background_task")
    assert set(schema["outputSchema"]["required"]) <= set(shown)
    assert shown["result"] == [1, 2]


@pytest.mark.parametrize(
    ("kind", "status"),
    [("failed", "completed"), ("revoked", "cancelled"), ("rejected", "completed")],
)
async def test_how_tasks_end(kind: str, status: str) -> None:
    async with wire() as (made, client):
        await made.started("t1")
        await made.tell(kind, "t1", exception="ValueError('no')")
        told = (await client("tasks/get", "t1", taskId="t1"))["result"]
    assert told["status"] == status
    assert "ValueError" in told["statusMessage"]
    if status == "completed":
        assert told["result"]["isError"] is True


async def test_a_lost_task_may_come_back_and_is_then_no_more_than_working() -> None:
    """No task leaves `failed`, and a lost one is taken back by any word of it."""
    async with wire() as (made, client):
        await made.started("t1")
        async with client.listen("t1") as following:
            await following()
            await following()
            await made.tell("lost", "t1", source="inferred", result="its worker died")
            lost = (await following())["params"]
            await made.tell("succeeded", "t1", result="1")
            end = (await following())["params"]
    assert lost["status"] == "working"
    assert lost["statusMessage"].startswith("lost: No worker knows of it")
    assert (end["status"], end["result"]["isError"]) == ("completed", False)


async def test_a_lost_task_is_given_up_in_the_end_and_that_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(TasksExtension, "give_up", 0.3)
    async with wire() as (made, client):
        await made.started("t1")
        await made.tell("lost", "t1", source="inferred", result="its worker died")
        async with client.listen("t1") as following:
            await following()
            told = [(await following())["params"]["status"] for _ in range(2)]
            error = (await client("tasks/get", "t1", taskId="t1"))["result"]["error"]
    assert told == ["working", "failed"]
    assert "No worker knows of it" in error["message"]


async def test_a_task_is_followed_at_another_server_than_it_was_started_at(
    app: Celery, module_valkey: PrivateValkey
) -> None:
    """Servers have nothing in common but the store."""
    who = Identity("me", frozenset(("read", "start")))
    headers = {"Authorization": "Bearer me"}
    async with (
        stored(module_valkey, prefix := f"{{test-{uuid4().hex}}}") as one,
        stored(module_valkey, prefix) as other,
        house(app, one) as here,
        house(None, other) as there,
        over_http(here, {"me": who}) as url,
        over_http(there, {"me": who}) as url_there,
        httpx2.AsyncClient(headers=headers, timeout=30) as http,
    ):
        started = await Wire(http, url, able=True).start()
        task_id = started["result"]["taskId"]
        async with Wire(http, url_there, able=True).listen(task_id) as following:
            await following()
            states = [(await following())["params"]["status"]]
            await here.tell("started", task_id)
            await here.tell("succeeded", task_id, result="1")
            while states[-1] != "completed":
                states.append((await following())["params"]["status"])
    assert set(states) == {"working", "completed"}


@asynccontextmanager
async def stored(server: PrivateValkey, prefix: str) -> AsyncGenerator[RedisStore]:
    """Open a store on `server`."""
    store = RedisStore(server.url, prefix=prefix)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def test_cancelling_reaches_the_workers(app: Celery) -> None:
    async with wire(app) as (made, client):
        await made.started("t1")
        cancelling = asyncio.create_task(client("tasks/cancel", "t1", taskId="t1"))
        await wait_until_async(lambda: made.hub.count_subscribers())
        await made.tell("revoked", "t1", flag=True)
        answer = await asyncio.wait_for(cancelling, 30)
        told = (await client("tasks/get", "t1", taskId="t1"))["result"]
    assert answer["result"]["resultType"] == "complete"
    assert told["status"] == "cancelled"


@pytest.mark.parametrize("method", ["tasks/get", "tasks/update", "tasks/cancel"])
async def test_what_is_refused(method: str, app: Celery) -> None:
    async with wire(app) as (made, client):
        await made.started("t1")
        unknown = (await client(method, "nobody", taskId="nobody"))["error"]
        other = (await client(method, "another", taskId="t1"))["error"]
        nameless = (await client(method))["error"]
    async with wire(app, False) as (made, client):
        await made.started("t1")
        unable = (await client(method, "t1", taskId="t1"))["error"]
    assert unknown["code"] == -32602
    assert "never heard" in unknown["message"]
    assert other["code"] == -32020
    assert nameless["code"] == -32602
    assert unable["code"] == -32021
    assert TASKS in unable["data"]["requiredCapabilities"]["extensions"]


async def test_cancelling_needs_its_scope(app: Celery) -> None:
    async with wire(app, True, "read") as (made, client):
        await made.started("t1")
        error = (await client("tasks/cancel", "t1", taskId="t1"))["error"]
    assert "needs a token with the scope cancel" in error["message"]


async def test_listening_to_tasks_needs_the_extension() -> None:
    async with wire(None, False) as (made, client):
        method = "subscriptions/listen"
        error = (await client(method, notifications={"taskIds": ["t1"]}))["error"]
        assert made.hub.count_subscribers() == 0
    assert error["code"] == -32021


@pytest.mark.filterwarnings("ignore:Call to deprecated setex")
async def test_the_rest_of_a_cut_result_is_had_as_its_message_says(app: Celery) -> None:
    whole = {"rows": [{"number": n, "text": f"row {n}"} for n in range(500)]}
    async with wire(app) as (made, client):
        task_id = (await client.start())["result"]["taskId"]
        app.backend.store_result(task_id, whole, "SUCCESS")
        await made.tell("received", task_id, name=SNAPSHOT)
        await made.tell("succeeded", task_id, result="{'rows': [...]}")
        ended = (await client("tasks/get", task_id, taskId=task_id))["result"]
        shown = ended["result"]["structuredContent"]
        assert len(shown["result"]) < 5_000
        tool, arguments = read_advice(shown["message"])
        text = ""
        offset: int | None = 0
        while offset is not None:
            given = {**arguments, "offset": offset}
            answer = await client("tools/call", tool, name=tool, arguments=given)
            part = answer["result"]["structuredContent"]
            text, offset = text + part["text"], part["next"]
    assert json.loads(text) == whole


def read_advice(message: str) -> tuple[str, dict[str, Any]]:
    """Return the tool, and its arguments, that a message names."""
    found = re.search(r"is cut: (\w+) with (\{.*?\})", message)
    assert found, message
    return found[1], json.loads(found[2])
