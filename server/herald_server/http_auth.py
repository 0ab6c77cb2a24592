"""Tokens, Host and Origin on the HTTP side of every door."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import wraps
from typing import Any

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from herald_server.auth import Identity, Narrow, Surroundings, bearer
from herald_server.caller import NOBODY, serving
from herald_server.cpu_budget import ENTRY_S, Account, Accounts
from herald_server.limits import Tally
from herald_server.line import WIRE, Cuttable
from herald_server.metering import Metered
from herald_server.problems import Problem, problem
from herald_server.tokens import BadToken, Keyring
from herald_server.tokens.keyring import NEEDED as UNKNOWN
from herald_server.waiting_turns import enter

NEEDED = f"{UNKNOWN}: Authorization: Bearer TOKEN"

LEAVE_THEMSELVES = ("/events",)
"""Doors that tell their clients why they are left."""

PROBES = ("/healthz", "/readyz", "/metrics")
"""Paths for machines, which reach them by whatever name their cluster has. They
tell nothing without a token, so that no page gains from DNS rebinding."""

ASK = {"WWW-Authenticate": 'Bearer realm="herald"'}

Route = Callable[[Any, Request], Awaitable[Response]]


def allowed(scope: str, *, whole: bool = False) -> Callable[[Route], Route]:
    """Let a route be used only with a token that has `scope`.

    `whole`: nor with one that is narrowed to some tasks. That is always so for
    `admin`: what it orders is about more than tasks.
    """
    whole = whole or scope == "admin"

    def wrap(route: Route) -> Route:
        @wraps(route)
        async def checked(self: Any, request: Request) -> Response:
            who = demand(request.scope, scope)
            if whole and who.only is not None:
                raise Narrow(request.url.path)
            return await route(self, request)

        return checked

    return wrap


def demand(connection: Scope, scope: str) -> Identity:
    """Return who sends a request, if they have `scope`. Raises `Problem`."""
    state = connection.get("state", {})
    who: Identity | None = state.get("identity")
    if who is None:
        raise Problem(401, state.get("refusal", NEEDED), _ask(state))
    if not who.may(scope):
        raise Problem(403, f"this token lacks the scope {scope}")
    return who


def _ask(state: Mapping[str, Any]) -> dict[str, str]:
    # RFC 6750 §3.1: no error is named to who gave no token.
    if state.get("refusal", NEEDED) == NEEDED:
        return ASK
    return {"WWW-Authenticate": f'{ASK["WWW-Authenticate"]}, error="invalid_token"'}


class Guard:
    """ASGI middleware before everything: where requests come from, and who sends them.

    Foreign hosts and pages are turned away at every door, the WebSocket too. The
    identity of a valid token lies in `scope["state"]["identity"]`; paths below
    `closed` are not even reached without one. Answers end when the token does, but
    for those of the doors in `LEAVE_THEMSELVES`, which say so first.
    """

    def __init__(
        self,
        app: ASGIApp,
        keyring: Keyring,
        around: Surroundings,
        closed: tuple[str, ...],
        tally: Tally | None = None,
        accounts: Accounts | None = None,
    ) -> None:
        self._app = app
        self._accounts = accounts or Accounts()
        self._keyring = keyring
        self._around = around
        self._closed = closed
        self._tally = tally or Tally()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._foreign(headers, scope)
        if refusal is None:
            refusal = await self._identify(scope, headers)
        address = (scope.get("client") or ("",))[0]
        account = self._account(scope, address)
        account.charge(ENTRY_S, time.monotonic())
        wire: Cuttable | None = scope.get("extensions", {}).get(WIRE)
        if wire is not None:
            wire.count_for(account)
        if refusal is None:
            refusal = await self._wait(account, scope)
        if refusal is not None:
            await _refuse(refusal, scope, receive, send)
            return
        who: Identity | None = scope["state"]["identity"]
        with serving(who or NOBODY, address, account) as served:
            await Metered(self._serve(who, scope, receive, send), served)

    async def _serve(
        self, who: Identity | None, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if who is not None and self._must_leave(who, scope):
            await self._until_over(who, scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _account(self, scope: Scope, address: str) -> Account:
        who: Identity | None = scope.get("state", {}).get("identity")
        accounts = self._accounts
        return accounts.by_address(address) if who is None else accounts.by_token(who)

    async def _wait(self, account: Account, scope: Scope) -> Response | None:
        """Wait while the account has taken too much; return what refuses it at last.

        Who says their token on the WebSocket is known only then. Machines that look
        whether we live are answered at once.
        """
        unknown = scope["state"]["identity"] is None
        if (unknown and scope["type"] == "websocket") or self._is_probe(scope):
            return None
        later = await enter(account)
        if not later:
            return None
        self._tally.refuse("cpu")
        whose = "this address, without a token," if unknown else "this token"
        return problem(
            429,
            f"requests of {whose} took too much CPU time; send fewer, or smaller ones,"
            f" and come back in {later} s",
            {"Retry-After": str(later)},
        )

    async def _identify(self, scope: Scope, headers: Headers) -> Response | None:
        """Note who sends the request; return what is answered to nobody instead."""
        state = scope.setdefault("state", {})
        state["identity"] = None
        given = bearer(headers.get("authorization"))
        try:
            state["identity"] = await self._keyring.admit(given)
            wire: Cuttable | None = scope.get("extensions", {}).get(WIRE)
            if wire is not None:
                wire.admit(self._accounts.by_token(state["identity"]))
        except BadToken as error:
            state["refusal"] = NEEDED if str(error) == UNKNOWN else str(error)
            if given:
                self._tally.refuse("token")
            if self._is_closed(scope):
                return problem(401, state["refusal"], _ask(state))
        return None

    def _path(self, scope: Scope) -> str:
        path: str = scope["path"]
        return path.removeprefix(scope.get("root_path", ""))

    def _is_probe(self, scope: Scope) -> bool:
        return self._path(scope).rstrip("/") in PROBES

    def _is_closed(self, scope: Scope) -> bool:
        return scope["type"] == "http" and self._path(scope).startswith(self._closed)

    def _foreign(self, headers: Headers, scope: Scope) -> Response | None:
        host, origin = headers.get("host"), headers.get("origin")
        if not self._is_probe(scope) and not self._around.host_fits(host):
            self._tally.refuse("host")
            return problem(
                421, "this host name is not served here; add it to HERALD_ALLOWED_HOSTS"
            )
        if not self._around.origin_fits(origin, host):
            self._tally.refuse("origin")
            return problem(
                403, "pages of this origin may not connect; see HERALD_ALLOWED_ORIGINS"
            )
        return None

    # -- until the token is good no more ---------------------------------------------

    def _must_leave(self, who: Identity, scope: Scope) -> bool:
        if scope["type"] != "http" or not self._keyring.ends(who):
            return False
        # An order that was begun is carried out; it takes seconds.
        looks = self._is_closed(scope) or scope["method"] in ("GET", "HEAD")
        return looks and not self._path(scope).startswith(LEAVE_THEMSELVES)

    async def _until_over(
        self, who: Identity, scope: Scope, receive: Receive, send: Send
    ) -> None:
        answer = _Answer(send)
        loop = asyncio.get_running_loop()
        reason = ""
        try:
            async with asyncio.timeout(None) as patience:

                def leave(why: str) -> None:
                    nonlocal reason
                    reason = reason or why
                    patience.reschedule(loop.time())

                end = self._keyring.staying(who, leave)
                try:
                    await self._app(scope, receive, answer)
                finally:
                    end()
        except TimeoutError:
            if not reason:
                raise
            await answer.end(problem(401, reason, ASK), scope, receive)


class _Answer:
    """An answer that can be ended at any time."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._begun = False
        self._done = False

    async def __call__(self, message: Message) -> None:
        """Pass a part of it on."""
        self._begun = True
        if message["type"] == "http.response.body":
            self._done = not message.get("more_body", False)
        await self._send(message)

    async def end(self, instead: Response, scope: Scope, receive: Receive) -> None:
        """End it, or send `instead` if nothing of it was sent."""
        if not self._begun:
            await instead(scope, receive, self._send)
        elif not self._done:
            with suppress(OSError):
                await self._send({"type": "http.response.body", "body": b""})


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
