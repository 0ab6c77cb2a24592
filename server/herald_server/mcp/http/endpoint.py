"""ASGI endpoint in front of MCP's application: complete messages, and
session owners."""

from __future__ import annotations

from functools import partial

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from herald_server.api.http.body import MAX_BODY_BYTES
from herald_server.api.http.problems import make_problem_response
from herald_server.api.http.token_expiry import MAKE_ERROR
from herald_server.auth.identity import Identity
from herald_server.mcp.http.accept_header import accept_either
from herald_server.mcp.http.active_calls import ActiveCalls
from herald_server.mcp.http.session_quota import SESSION_ID
from herald_server.mcp.http.sessions import (
    TOO_MANY_SESSIONS_MESSAGE,
    Sessions,
    make_user,
)
from herald_server.mcp.http.step_up import allow_step_up, make_error

MAX_CONTAINERS = 20_000
"""Maximum number of lists and objects in one message: the SDK takes 1 ms for 500."""

TOO_LARGE_MESSAGE = f"a message is at most {MAX_BODY_BYTES} bytes"
TOO_NESTED_MESSAGE = f"a message has at most {MAX_CONTAINERS} lists and objects"


class SessionOwnerMiddleware:
    """ASGI middleware around MCP's application.

    A session can be used only with the credential that opened it: the same name and the
    same tasks, so an issuer's token may be renewed meanwhile. A message is passed on
    once it is complete. `calls` counts those that have no complete response yet.
    """

    def __init__(self, app: ASGIApp, sessions: Sessions, calls: ActiveCalls) -> None:
        self._app = app
        self._sessions = sessions
        self._calls = calls

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        body = await _read_body(receive) if scope["method"] == "POST" else b""
        if body is None:
            return
        if (excess := _find_excess(body)) is not None:
            await _send_refusal(413, "body", excess, scope, receive, send)
            return
        who: Identity | None = scope.get("state", {}).get("identity")
        if who is not None:
            scope = {**scope, "user": make_user(who)}
        scope, answer = accept_either(scope, send)
        if scope["method"] != "POST":
            await self._serve(who, body, scope, receive, answer)
            return
        answer = allow_step_up(scope, body, answer)
        scope["state"][MAKE_ERROR] = partial(make_error, body)
        with self._calls.count():
            await self._serve(who, body, scope, _replay_body(body, receive), answer)

    async def _serve(
        self,
        who: Identity | None,
        body: bytes,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        id_ = Headers(scope=scope).get(SESSION_ID)
        if who is not None and id_ is not None:
            if scope["method"] == "GET":
                send = self._sessions.note_stream(id_, send)
            async with self._sessions.use(id_, who, scope):
                await self._app(scope, receive, send)
        elif who is None or not body:
            await self._app(scope, receive, send)
        elif self._sessions.is_full_for(who):
            await _send_refusal(
                429, "sessions", TOO_MANY_SESSIONS_MESSAGE, scope, receive, send
            )
        else:
            async with self._sessions.count_session(who, body, send) as counted:
                await self._app(scope, receive, counted)


async def _send_refusal(
    status: int, why: str, detail: str, scope: Scope, receive: Receive, send: Send
) -> None:
    scope["app"].state.shared.metrics.count_refusal(why)
    await make_problem_response(status, detail)(scope, receive, send)


def _find_excess(body: bytes) -> str | None:
    """Return what is excessive about a message, before it is parsed;
    None if nothing is."""
    if len(body) > MAX_BODY_BYTES:
        return TOO_LARGE_MESSAGE
    # Brackets in strings count as well: few messages have that many.
    if body.count(b"[") + body.count(b"{") > MAX_CONTAINERS:
        return TOO_NESTED_MESSAGE
    return None


async def _read_body(receive: Receive) -> bytes | None:
    """Return the body, or enough of it to see that it is too large;
    None if it broke off."""
    body = bytearray()
    while len(body) <= MAX_BODY_BYTES:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break
    return bytes(body)


def _replay_body(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that returns `body` first."""
    is_sent = False

    async def replay() -> Message:
        nonlocal is_sent
        if not is_sent:
            is_sent = True
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return replay
