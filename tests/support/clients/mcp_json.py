"""Clients of MCP that speak bare JSON, for tests."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import httpx2

INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}
"""The first message of a client of the older protocol."""

VERSION = "2026-07-28"
META = "io.modelcontextprotocol"
NAMED = {"tools/call": "name", "tasks/get": "taskId", "tasks/cancel": "taskId"}

Following = Callable[[], Awaitable[dict[str, Any]]]


class Wire:
    """Requests and streams, with the extensions `able` and `more` declared."""

    def __init__(
        self, http: httpx2.AsyncClient, url: str, *able: str, **more: object
    ) -> None:
        self._http = http
        self._url = url
        self._able: dict[str, Any] = {
            "extensions": {one: {} for one in able},
            **more,
        }
        self.asked: list[str] = []
        """Every method that was asked for."""

    async def __call__(self, method: str, /, **params: Any) -> dict[str, Any]:
        """Send a request and return its answer: `result` or `error`."""
        async with self._post(method, params) as answer:
            text = (await answer.aread()).decode()
        if answer.headers["content-type"].startswith("application/json"):
            return cast("dict[str, Any]", json.loads(text))
        frames = [line[5:] for line in text.splitlines() if line.startswith("data:")]
        return cast("dict[str, Any]", json.loads(frames[-1]))

    @asynccontextmanager
    async def stream(
        self, method: str, /, **params: Any
    ) -> AsyncGenerator[Following, None]:
        """Send a request; yields what returns the next frame of its answer."""
        async with self._post(method, params) as answer:
            lines = answer.aiter_lines()

            async def following() -> dict[str, Any]:
                async with asyncio.timeout(30):
                    while not (line := await anext(lines)).startswith("data:"):
                        pass
                return cast("dict[str, Any]", json.loads(line[5:]))

            yield following

    @asynccontextmanager
    async def _post(
        self, method: str, params: dict[str, Any]
    ) -> AsyncGenerator[httpx2.Response, None]:
        self.asked.append(method)
        meta: dict[str, Any] = {
            f"{META}/protocolVersion": VERSION,
            f"{META}/clientInfo": {"name": "test", "version": "0"},
            f"{META}/clientCapabilities": self._able,
        }
        headers = {
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": VERSION,
            "Mcp-Method": method,
        }
        if method in NAMED:
            headers["Mcp-Name"] = str(params[NAMED[method]])
        body: dict[str, Any] = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": method,
            "params": {**params, "_meta": meta},
        }
        async with self._http.stream(
            "POST", self._url, json=body, headers=headers
        ) as answer:
            yield answer
