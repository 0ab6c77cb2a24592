"""The address and the `Accept` header that real MCP clients send."""

import json
from typing import Any

import pytest

from tests.support.clients.http import asking
from tests.support.clients.mcp_json import INITIALIZE
from tests.support.herald.server import serving
from tests.support.servers.redis import PrivateValkey

pytestmark = pytest.mark.anyio

CALL = {
    "jsonrpc": "2.0",
    "id": 2,
    "method": "tools/call",
    "params": {"name": "get_task_status", "arguments": {"task_id": "nobody-knows"}},
}


@pytest.fixture
def url(module_valkey: PrivateValkey) -> str:
    return module_valkey.url


@pytest.mark.parametrize("path", ["/mcp", "/mcp/"])
@pytest.mark.parametrize("prefix", ["", "/herald"])
async def test_a_trailing_slash_is_served_and_not_redirected(
    url: str, path: str, prefix: str
) -> None:
    both = {"Accept": "application/json, text/event-stream"}
    async with serving(url, root_path=prefix) as server, asking(server) as ask:
        answer = await ask.post(prefix + path, json=INITIALIZE, headers=both)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("path", ["/healthz/", "/readyz/", "/metrics/"])
async def test_no_path_is_redirected_for_its_slash(url: str, path: str) -> None:
    async with serving(url) as server, asking(server) as ask:
        await server.beat()
        assert (await ask.get(path)).status_code == 200
        missing = await ask.get("/nowhere/")
        assert missing.status_code == 404
        assert "there is nothing at" in missing.json()["detail"]


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("application/json, text/event-stream", "text/event-stream"),
        ("text/event-stream", "text/event-stream"),
        ("*/*", "text/event-stream"),
        ("", "text/event-stream"),
        ("application/json", "application/json"),
        ("application/*", "application/json"),
    ],
)
async def test_one_accepted_type_is_enough(url: str, accept: str, kind: str) -> None:
    headers = {"Accept": accept}
    async with serving(url) as server, asking(server) as ask:
        opened = await ask.post("/mcp", json=INITIALIZE, headers=headers)
        assert opened.status_code == 200, opened.text
        assert opened.headers["content-type"].startswith(kind)
        headers["Mcp-Session-Id"] = opened.headers["mcp-session-id"]
        called = await ask.post("/mcp", json=CALL, headers=headers)
    assert called.status_code == 200
    assert _message(called.text)["result"]["structuredContent"]["status"] == "unknown"


async def test_a_client_that_accepts_neither_type_is_refused(url: str) -> None:
    async with serving(url) as server, asking(server) as ask:
        answer = await ask.post(
            "/mcp", json=INITIALIZE, headers={"Accept": "text/html"}
        )
    assert answer.status_code == 406


def _message(text: str) -> Any:
    """Return the JSON-RPC response in a body of either type."""
    lines = [line.removeprefix("data:") for line in text.splitlines()]
    said = [line for line in lines if line.lstrip().startswith("{")]
    return json.loads(said[-1])
