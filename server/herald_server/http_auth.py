"""Tokens, Host and Origin on the HTTP side of every door."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from herald_server.auth import Identity, Surroundings, Tokens, bearer
from herald_server.problems import Problem, problem

ASK = {"WWW-Authenticate": 'Bearer realm="herald"'}

Route = Callable[[Any, Request], Awaitable[Response]]


def allowed(scope: str) -> Callable[[Route], Route]:
    """Let a route be used only with a token that has `scope`."""

    def wrap(route: Route) -> Route:
        @wraps(route)
        async def checked(self: Any, request: Request) -> Response:
            who: Identity | None = getattr(request.state, "identity", None)
            if who is None:
                raise Problem(
                    401, "a valid token is needed: Authorization: Bearer TOKEN", ASK
                )
            if not who.may(scope):
                raise Problem(403, f"this token lacks the scope {scope}")
            return await route(self, request)

        return checked

    return wrap


class Guard:
    """ASGI middleware before everything: where requests come from, and who sends them.

    Foreign hosts and pages are turned away at every door, the WebSocket too. The
    identity of a valid token lies in `scope["state"]["identity"]`; paths below
    `closed` are not even reached without one.
    """

    def __init__(
        self,
        app: ASGIApp,
        tokens: Tokens,
        around: Surroundings,
        closed: tuple[str, ...],
    ) -> None:
        self._app = app
        self._tokens = tokens
        self._around = around
        self._closed = closed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._foreign(headers)
        who = self._tokens.check(bearer(headers.get("authorization")))
        if refusal is None and who is None and self._is_closed(scope):
            refusal = problem(
                401, "a valid token is needed: Authorization: Bearer TOKEN", ASK
            )
        if refusal is not None:
            await _refuse(refusal, scope, receive, send)
            return
        scope.setdefault("state", {})["identity"] = who
        await self._app(scope, receive, send)

    def _is_closed(self, scope: Scope) -> bool:
        path: str = scope["path"].removeprefix(scope.get("root_path", ""))
        return scope["type"] == "http" and path.startswith(self._closed)

    def _foreign(self, headers: Headers) -> Response | None:
        host, origin = headers.get("host"), headers.get("origin")
        if not self._around.host_fits(host):
            return problem(
                421, "this host name is not served here; add it to HERALD_ALLOWED_HOSTS"
            )
        if not self._around.origin_fits(origin, host):
            return problem(
                403, "pages of this origin may not connect; see HERALD_ALLOWED_ORIGINS"
            )
        return None


async def _refuse(
    refusal: Response, scope: Scope, receive: Receive, send: Send
) -> None:
    if scope["type"] == "http":
        await refusal(scope, receive, send)
        return
    # The WebSocket Denial Response extension of ASGI: the handshake gets the
    # status and the sentence instead of a bare 403.
    await receive()
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 4403})
        return
    await send(
        {
            "type": "websocket.http.response.start",
            "status": refusal.status_code,
            "headers": refusal.raw_headers,
        }
    )
    await send({"type": "websocket.http.response.body", "body": bytes(refusal.body)})
