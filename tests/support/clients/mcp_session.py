"""A client of the older protocol in bare JSON, which can go on at another server."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, cast

import httpx2

from tests.support.clients.mcp_json import INITIALIZE


def read_event(text: str) -> dict[str, Any]:
    """Return the JSON of the last event in a stream."""
    lines = [line[5:] for line in text.splitlines() if line.startswith("data:")]
    return cast("dict[str, Any]", json.loads(lines[-1]))


class Session:
    """A session of the older protocol, in bare JSON."""

    def __init__(self, http: httpx2.AsyncClient, url: str) -> None:
        self._http = http
        self._url = f"{url}mcp"
        self._headers = {"Accept": "application/json, text/event-stream"}
        self.offered: dict[str, Any] = {}
        """The capabilities of the server."""

    @property
    def id(self) -> str | None:
        """Its id; None without a session."""
        return self._headers.get("Mcp-Session-Id")

    async def open(self) -> None:
        """Shake hands."""
        answer = await self.post(INITIALIZE)
        self.offered = read_event(answer.text)["result"]["capabilities"]
        if id_ := answer.headers.get("mcp-session-id"):
            self._headers["Mcp-Session-Id"] = id_
        await self.post({"jsonrpc": "2.0", "method": "notifications/initialized"})

    async def post(self, message: dict[str, Any]) -> httpx2.Response:
        """Send a message."""
        return await self._http.post(self._url, json=message, headers=self._headers)

    def move(self, url: str, token: str) -> None:
        """Go on at another server, with another token."""
        self._url = f"{url}mcp"
        self._headers["Authorization"] = f"Bearer {token}"

    async def delete(self) -> httpx2.Response:
        """End it."""
        return await self._http.delete(self._url, headers=self._headers)

    async def ask(self, method: str, **params: Any) -> httpx2.Response:
        """Send a request."""
        told = {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}
        return await self.post(told)

    async def read_notification(self) -> dict[str, Any]:
        """Open the stream of notifications and return the first."""
        async with self._http.stream("GET", self._url, headers=self._headers) as answer:
            assert answer.status_code == 200, await answer.aread()
            async for line in answer.aiter_lines():
                if line.startswith("data:"):
                    return cast("dict[str, Any]", json.loads(line[5:]))
        raise AssertionError("the stream ended")


@asynccontextmanager
async def opened(url: str, token: str) -> AsyncGenerator[Session]:
    """Open a session."""
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx2.AsyncClient(headers=headers, timeout=30, trust_env=False) as http:
        made = Session(http, url)
        await made.open()
        yield made
