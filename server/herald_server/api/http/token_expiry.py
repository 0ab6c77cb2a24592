"""Responses that end when the token of their caller does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from herald_server.api.http.challenges import make_token_challenge
from herald_server.api.http.problems import make_problem_response
from herald_server.auth.identity import Identity
from herald_server.auth.tokens import Authenticator

MAKE_ERROR = "make_error"
"""Where the state of a request may hold a function that returns the response to it, as
JSON, from the reason for which it fails."""


class ExpiringApp:
    """Serves requests of `who` with `app` until its token is invalid."""

    def __init__(
        self, app: ASGIApp, authenticator: Authenticator, who: Identity
    ) -> None:
        self._app = app
        self._authenticator = authenticator
        self._identity = who

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; end its response with the token."""
        answer = _ClosableAnswer(send)
        loop = asyncio.get_running_loop()
        reason = ""
        try:
            async with asyncio.timeout(None) as timeout:

                def leave(why: str) -> None:
                    nonlocal reason
                    reason = reason or why
                    timeout.reschedule(loop.time())

                end = self._authenticator.call_when_invalid(self._identity, leave)
                try:
                    await self._app(scope, receive, answer)
                finally:
                    end()
        except TimeoutError:
            if not reason:
                raise
            refusal, last = _make_refusal(scope, reason)
            await answer.end(refusal, scope, receive, last)


def _make_refusal(scope: Scope, reason: str) -> tuple[Response, bytes]:
    """Return the response to a request whose token ended, and what ends a stream that
    has begun."""
    challenge = make_token_challenge(scope, reason)
    make_error: Callable[[str], bytes] | None = scope["state"].get(MAKE_ERROR)
    if make_error is None:
        return make_problem_response(401, reason, challenge), b""
    error = make_error(reason)
    refusal = Response(error, 401, challenge, media_type="application/json")
    return refusal, b"event: message\r\ndata: " + error + b"\r\n\r\n"


class _ClosableAnswer:
    """A response that can be ended at any time."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._is_started = False
        self._done = False

    async def __call__(self, message: Message) -> None:
        """Pass on a part of it."""
        self._is_started = True
        if message["type"] == "http.response.body":
            self._done = not message.get("more_body", False)
        await self._send(message)

    async def end(
        self, instead: Response, scope: Scope, receive: Receive, last: bytes
    ) -> None:
        """End it with `last`, or send `instead` if nothing was sent yet."""
        if not self._is_started:
            await instead(scope, receive, self._send)
        elif not self._done:
            with suppress(OSError):
                await self._send({"type": "http.response.body", "body": last})
