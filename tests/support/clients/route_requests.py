"""All doors of an app, as it has them, and somebody who tries them."""

import asyncio
import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx2
from starlette.applications import Starlette
from starlette.routing import Mount, Route, WebSocketRoute
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from herald_core.model.filters import Filter
from herald_core.model.gaps import Gap
from herald_core.model.tasks.views import to_rfc3339
from herald_server.auth.identity import SCOPES, Identity
from tests.support.herald.server import Server
from tests.support.herald.uvicorn_server import TOKEN

SIGN_IN = {"/auth/session", "/auth/login", "/auth/password", "/auth/callback"}
OPEN = SIGN_IN | {
    *("/", "/docs", "/herald.js", "/healthz", "/readyz"),
    *("/asyncapi.json", "/openapi.json"),
}
"""What anybody may ask for who comes from here: it tells nothing of tasks."""

DISCOVERY = "/.well-known/"
"""Where clients without a token learn how to get one."""

PAGE_FILES = "/dashboard/"
"""The files of the page, which contain no data."""

PARAM = re.compile(r"\{\w+(?::\w+)?\}")


@dataclass(frozen=True)
class Try:
    """One thing that can be asked of a door."""

    method: str
    path: str
    body: str | None = None

    @property
    def open(self) -> bool:
        """Whether no token is needed."""
        return self.path in OPEN or self.path.startswith((DISCOVERY, PAGE_FILES))


def tries(app: Starlette, id_: str) -> Iterator[Try]:
    """Yield every route of `app` with every method, about `id_`, WebSockets apart.

    A route of a kind that is not known here is an error: nothing is left out.
    """
    for route in app.routes:
        if isinstance(route, WebSocketRoute):
            continue
        assert isinstance(route, Route | Mount), f"who tries a {type(route)}?"
        path = PARAM.sub(id_, route.path)
        if isinstance(route, Mount):
            yield Try("GET", f"{path}/")
        elif route.path == "/mcp":
            yield from _mcp(id_)
        else:
            for method in sorted(route.methods or ()):
                yield Try(method, path, "{}" if method == "POST" else None)


def sockets(app: Starlette) -> list[str]:
    """Return the paths of all WebSockets."""
    return [one.path for one in app.routes if isinstance(one, WebSocketRoute)]


def _mcp(id_: str) -> Iterator[Try]:
    yield Try("GET", "/mcp")
    yield Try("DELETE", "/mcp")
    for method in ("initialize", "tools/list", "tools/call", "tasks/get"):
        said = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"taskId": id_}}
        yield Try("POST", "/mcp", json.dumps(said))


@dataclass
class Visitor:
    """Somebody with a token and headers of their own."""

    server: Server
    token: str | None = TOKEN
    headers: dict[str, str] = field(default_factory=dict[str, str])

    def _headers(self) -> dict[str, str]:
        more = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return {**more, **self.headers}

    async def ask(self, http: httpx2.AsyncClient, one: Try) -> tuple[int, str]:
        """Return the status and the text of an answer, or of how it begins."""
        headers = {
            **self._headers(),
            "Accept": "application/json, text/event-stream",
            "Content-Type": "application/json",
        }
        query = "?timeout=0" if one.path.endswith("/wait") else ""
        url = self.server.url.rstrip("/") + one.path + query
        async with http.stream(
            one.method, url, headers=headers, content=one.body
        ) as answer:
            return answer.status_code, await self._text(answer)

    async def _text(self, answer: httpx2.Response) -> str:
        if not answer.headers.get("content-type", "").startswith("text/event-stream"):
            return (await answer.aread()).decode()
        said = ""
        async for part in answer.aiter_text():
            said += part
            # A snapshot is complete, or an answer was given.
            if '"cursor"' in said or '"jsonrpc"' in said:
                break
        return said

    async def knock(self, path: str) -> int:
        """Return how a WebSocket is refused: status or close code; 0 if it is not."""
        url = self.server.url.replace("http", "ws", 1).rstrip("/") + path
        headers = self._headers()
        host = headers.pop("Host", None)
        origin: Any = headers.pop("Origin", None)
        more: dict[str, Any] = {"host_header": host} if host else {}
        try:
            return await self._knock(url, headers, origin, more)
        except InvalidStatus as refused:
            return refused.response.status_code

    async def _knock(
        self, url: str, headers: dict[str, str], origin: Any, more: dict[str, Any]
    ) -> int:
        host = more.get("host_header")
        if host:
            # websockets takes the Host of the address; the name leads there.
            place = url.split("/")[2]
            name, _, port = place.partition(":")
            url = url.replace(place, f"{host}:{port}")
            more = {"host": name, "port": int(port)}
        async with connect(
            url, additional_headers=headers, origin=origin, proxy=None, **more
        ) as socket:
            try:
                async with asyncio.timeout(30):
                    await socket.recv()
            except ConnectionClosed as closed:
                return closed.rcvd.code if closed.rcvd else -1
        return 0


def minted(server: Server, **who: Any) -> str:
    """Return a token that is signed like any other, whatever it says."""
    given: dict[str, Any] = {
        "name": "owner/test",
        "scopes": frozenset(SCOPES),
        "expires": time.time() + 60,
        "id": "0123456789abcdef",
        **who,
    }
    return str(server.app.state.authenticator.issuer.sign(Identity(**given)))


def gap_of(reason: str) -> Gap:
    """Return a gap that is open."""
    now = to_rfc3339(time.time())
    return Gap(id=f"gap-{time.time_ns()}", since=now, until=now, reason=reason)


OTHER = Filter(ids=("another-task",))
"""What a token for another task is narrowed to."""
