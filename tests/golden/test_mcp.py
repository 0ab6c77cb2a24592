"""What MCP clients of both protocol versions are offered, and how they are refused."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncGenerator, Iterator
from typing import Any, cast

import httpx2
import pytest

from tests.golden.comparison import compare
from tests.support.clients.mcp_json import INITIALIZE, Wire
from tests.support.golden.clients import BEARER
from tests.support.golden.recent import recent
from tests.support.golden.shapes import shape_of, without_stale
from tests.support.servers.redis import PrivateValkey

pytestmark = pytest.mark.anyio

LISTS = {
    "tools": "tools/list",
    "prompts": "prompts/list",
    "resources": "resources/list",
    "resourceTemplates": "resources/templates/list",
}
TASK = "cafcf131-c90f-4f34-b0d9-d023769d0bc5"


class Session:
    """A client of the older protocol, with a session."""

    def __init__(self, http: httpx2.AsyncClient, url: str) -> None:
        self._http = http
        self._url = url
        self._headers = {"Accept": "application/json, text/event-stream"}
        self._id = 1

    async def initialize(self) -> dict[str, Any]:
        """Begin the session; return what the server says of itself."""
        answer = await self._post(INITIALIZE)
        self._headers["Mcp-Session-Id"] = answer.headers["mcp-session-id"]
        self._headers["MCP-Protocol-Version"] = "2025-06-18"
        done = {"jsonrpc": "2.0", "method": "notifications/initialized"}
        assert (await self._post(done)).status_code == 202
        return _last(answer)

    async def __call__(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a request and return its answer: `result` or `error`."""
        self._id += 1
        message = {"jsonrpc": "2.0", "id": self._id, "method": method, "params": params}
        return _last(await self._post(message))

    async def _post(self, message: dict[str, Any]) -> httpx2.Response:
        return await self._http.post(self._url, json=message, headers=self._headers)


def _last(answer: httpx2.Response) -> dict[str, Any]:
    """Return the last message of an answer: JSON, or events."""
    if answer.headers["content-type"].startswith("application/json"):
        return cast("dict[str, Any]", answer.json())
    frames = [line[5:] for line in answer.text.splitlines() if line[:5] == "data:"]
    return cast("dict[str, Any]", json.loads(frames[-1]))


@contextlib.asynccontextmanager
async def both(valkey: PrivateValkey) -> AsyncGenerator[tuple[Session, Wire]]:
    """A client of each version, on a server that holds the stream."""
    async with (
        recent(valkey) as server,
        httpx2.AsyncClient(trust_env=False, headers=BEARER, timeout=30) as http,
    ):
        url = f"{server.url}mcp"
        yield Session(http, url), Wire(http, url, "io.modelcontextprotocol/events")


def by_name(listed: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what is listed by what it is called with."""
    keys = ("uriTemplate", "uri", "name")
    return {next(one[key] for key in keys if key in one): one for one in listed}


async def test_what_is_offered(module_valkey: PrivateValkey) -> None:
    async with both(module_valkey) as (old, new):
        greeting = (await old.initialize())["result"]
        discovery = (await new("server/discover"))["result"]
        for told in (greeting, discovery):
            _mask_version(told)
        compare("mcp-server.json", {"2025-06-18": greeting, "2026-07-28": discovery})
        for key, method in LISTS.items():
            first, second = [
                by_name((await client(method))["result"][key]) for client in (old, new)
            ]
            compare(f"mcp-{key}.json", first)
            assert second == first, f"{method} differs between the two versions"
        events = (await new("events/list"))["result"]
        compare("mcp-events.json", events)


def _mask_version(told: Any) -> None:
    """Replace the version of Herald in what a server says of itself."""
    for inner in _tables(told):
        if "version" in inner:
            inner["version"] = "VERSION"


def _tables(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        table = cast("dict[str, Any]", value)
        yield table
        for one in table.values():
            yield from _tables(one)


CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "get_task_status": ("get_task_status", {"task_id": TASK}),
    "get_task_status: unknown": ("get_task_status", {"task_id": "unknown"}),
    "wait_for_task": ("wait_for_task", {"task_id": TASK, "timeout_s": 0}),
    "list_tasks": ("list_tasks", {"limit": 2, "detail": "full"}),
    "list_tasks: short": ("list_tasks", {"limit": 2}),
    "list_active_tasks": ("list_active_tasks", {"detail": "full"}),
    "list_active_tasks: short": ("list_active_tasks", {}),
    "list_task_types": ("list_task_types", {"name": "metrics_snapshot"}),
    "list_workers": ("list_workers", {"detail": "full"}),
    "list_workers: short": ("list_workers", {}),
    "list_queues": ("list_queues", {"detail": "full"}),
    "list_queues: short": ("list_queues", {}),
    "list_webhooks": ("list_webhooks", {}),
    "get_task_history": ("get_task_history", {"task_id": TASK, "detail": "full"}),
    "get_task_result": ("get_task_result", {"task_id": TASK}),
    "wait_for_changes": ("wait_for_changes", {"newest": 1, "detail": "full"}),
    "wait_for_changes: short": ("wait_for_changes", {"newest": 1}),
    "get_group_status": (
        "get_group_status",
        {"group_id": "group-of-herald", "detail": "full"},
    ),
    "wait_for_group": (
        "wait_for_group",
        {"group_id": "group-of-herald", "timeout_s": 0},
    ),
    "start_background_task": (
        "start_background_task",
        {"task_type": "metrics_snapshot"},
    ),
    "start_background_task: unknown": ("start_background_task", {"task_type": "nope"}),
    "start_background_task: bad": (
        "start_background_task",
        {"task_type": "metrics_snapshot", "params": {"period_days": 0}},
    ),
    "no argument": ("get_task_status", {}),
    "unknown argument": ("list_queues", {"x": 1}),
    "unknown tool": ("nope", {}),
}
"""Calls of tools by the older protocol."""

REFUSED: dict[str, tuple[str, dict[str, Any]]] = {
    "unknown method": ("no/method", {}),
    "unknown resource": ("resources/read", {"uri": "herald://nothing"}),
    "unknown prompt": ("prompts/get", {"name": "nope"}),
    "resource of an unknown task": ("resources/read", {"uri": "task://unknown"}),
    "tool without a name": ("tools/call", {"name": ""}),
}
"""Requests that both versions refuse."""

NEW_REFUSED: dict[str, tuple[str, dict[str, Any]]] = {
    "unknown event": ("events/poll", {"name": "nope"}),
    "bad cursor": ("events/poll", {"name": "task.ended", "cursor": "x"}),
    "subscribe": ("events/subscribe", {"name": "task.ended"}),
    "unknown task": ("tasks/get", {"taskId": "unknown"}),
}


async def test_answers_and_refusals(module_valkey: PrivateValkey) -> None:
    told: dict[str, Any] = {}
    async with both(module_valkey) as (old, new):
        await old.initialize()
        for name, (tool, arguments) in CALLS.items():
            answer = await old("tools/call", name=tool, arguments=arguments)
            told[f"call: {name}"] = _about(answer)
        for name, (method, params) in REFUSED.items():
            told[f"refused: {name}"] = {
                "2025-06-18": _about(await old(method, **params)),
                "2026-07-28": _about(await new(method, **params)),
            }
        for name, (method, params) in NEW_REFUSED.items():
            told[f"refused: {name}"] = _about(await new(method, **params))
        for uri in (f"task://{TASK}", "tasks://active", "herald://health"):
            found = (await old("resources/read", uri=uri))["result"]["contents"][0]
            body = without_stale(shape_of(json.loads(found["text"])))
            told[f"resource: {uri}"] = {"mimeType": found["mimeType"], "body": body}
    compare("mcp-answers.json", told)


def _about(answer: dict[str, Any]) -> dict[str, Any]:
    if "error" in answer:
        error = answer["error"]
        return {"error": error["code"], "data": shape_of(error.get("data"))}
    result = answer["result"]
    told = shape_of(result.get("structuredContent"))
    if isinstance(told, dict) and "message" in told:
        # It says so, or nothing, once no monitor has written for three seconds.
        told["message"] = "text or null"
    return {
        "isError": result.get("isError", False),
        "content": sorted({one["type"] for one in result.get("content", [])}),
        "structured": told,
    }
