"""What comes before MCP's own app: whole messages, and whose they are."""

from __future__ import annotations

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from herald_monitor.model.codec import to_json
from herald_server.auth import Identity
from herald_server.http_body import MAX_BODY
from herald_server.mcp.accepting import accept_one
from herald_server.mcp.session_quota import MAX_SESSIONS, SESSION_ID, SessionQuota
from herald_server.problems import problem
from herald_server.tokens.claims import written

MAX_CONTAINERS = 20_000
"""Lists and objects in one message: the SDK takes a thousandth of a second for 500."""

TOO_LARGE = f"a message is at most {MAX_BODY} bytes"
TOO_INTRICATE = f"a message has at most {MAX_CONTAINERS} lists and objects"
TOO_MANY = (
    f"this token has {MAX_SESSIONS} sessions open; end some with DELETE, or use those"
    " that there are (one that is idle ends after 30 minutes, an unused one after one)"
)


class Owned:
    """ASGI around MCP's own app.

    It lets a session be used only with the credential that opened it: the same
    name and the same tasks, so a token of an issuer may be renewed meanwhile. A
    message is passed on once it is whole: one that breaks off is none. `quota`
    bounds the sessions of one token.
    """

    def __init__(self, app: ASGIApp, quota: SessionQuota) -> None:
        self._app = app
        self._quota = quota

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        said = await _whole(receive) if scope["method"] == "POST" else b""
        if said is None:
            return
        if (excess := _excess(said)) is not None:
            await _refuse(413, "body", excess, scope, receive, send)
            return
        who: Identity | None = scope.get("state", {}).get("identity")
        if who is not None:
            scope = {**scope, "user": _user(who)}
            if said and SESSION_ID not in Headers(scope=scope):
                if self._quota.is_used_up(who.root):
                    await _refuse(429, "sessions", TOO_MANY, scope, receive, send)
                    return
                async with self._quota.watching(who.root, send) as watched:
                    await self._pass_on(scope, _again(said, receive), watched)
                return
        await self._pass_on(scope, _again(said, receive), send)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope, send = accept_one(scope, send)
        await self._app(scope, receive, send)


async def _refuse(
    status: int, why: str, detail: str, scope: Scope, receive: Receive, send: Send
) -> None:
    scope["app"].state.shared.tally.refuse(why)
    await problem(status, detail)(scope, receive, send)


def _excess(said: bytes) -> str | None:
    """Return what is too much about a message, before anything parses it."""
    if len(said) > MAX_BODY:
        return TOO_LARGE
    # Brackets in texts count as well: few messages have so many.
    if said.count(b"[") + said.count(b"{") > MAX_CONTAINERS:
        return TOO_INTRICATE
    return None


async def _whole(receive: Receive) -> bytes | None:
    """Return what is sent, or so much of it that it is too much; None if it broke."""
    said = bytearray()
    while len(said) <= MAX_BODY:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        said += message.get("body", b"")
        if not message.get("more_body", False):
            break
    return bytes(said)


def _again(said: bytes, receive: Receive) -> Receive:
    """Return what receives `said` first, and then what comes."""
    first = True

    async def again() -> Message:
        nonlocal first
        if first:
            first = False
            return {"type": "http.request", "body": said, "more_body": False}
        return await receive()

    return again


def _user(who: Identity) -> AuthenticatedUser:
    seen = to_json(written(who.only)).decode()
    # An issuer's next token for the same holder has another id.
    subject = seen if who.name.startswith("jwt:") else f"{who.id} {seen}"
    access = AccessToken(token="", client_id=who.name, scopes=[], subject=subject)
    return AuthenticatedUser(access)
