"""Respond 403 to a call that lacks a scope which its issuer can give (RFC 6750 §3.1).

A tool reports a missing scope in its result, which the model reads. A client that got
its token by OAuth can do more: it asks its user for the scope, and calls again. So the
beginning of a response is held back until the call has sent something, and is replaced
if a scope is missing.
"""

from __future__ import annotations

from typing import Any, cast

import msgspec
from mcp.types import INVALID_REQUEST
from starlette.responses import Response
from starlette.types import Message, Scope, Send

from herald_core.model.codec import to_json
from herald_server.api.http.challenges import RESOURCE, make_scope_challenge
from herald_server.auth.identity import Identity, MissingScope
from herald_server.mcp.http.auth import MISSING_SCOPE


def allow_step_up(scope: Scope, body: bytes, send: Send) -> Send:
    """Return the `send` for a POST with `body`: one that refuses calls with 403 if the
    caller's token is of an issuer that clients can discover."""
    state = scope.get("state", {})
    who: Identity | None = state.get("identity")
    if who is None or not who.can_step_up or state.get(RESOURCE) is None:
        return send
    return StepUpSend(scope, body, send, who.potential_scopes)


class StepUpSend:
    """Sends a response, or 403 instead if its call lacks one of `obtainable`."""

    def __init__(
        self, scope: Scope, body: bytes, send: Send, obtainable: frozenset[str]
    ) -> None:
        self._obtainable = obtainable
        self._scope = scope
        self._body = body
        self._send = send
        self._start: Message | None = None
        self._is_replaced = False

    async def __call__(self, message: Message) -> None:
        """Send one ASGI message."""
        if self._is_replaced:
            return
        if message["type"] == "http.response.start":
            self._start = message
            return
        if self._start is not None:
            missing: MissingScope | None = self._scope["state"].get(MISSING_SCOPE)
            if missing is not None and missing.scope in self._obtainable:
                self._is_replaced = True
                await self._refuse(missing)
                return
            await self._send(self._start)
            self._start = None
        await self._send(message)

    async def _refuse(self, missing: MissingScope) -> None:
        told = make_error(self._body, str(missing))
        headers = make_scope_challenge(self._scope, missing.scope, str(missing))
        refusal = Response(told, 403, headers, media_type="application/json")
        await refusal(self._scope, _receive_nothing, self._send)


def make_error(body: bytes, sentence: str) -> bytes:
    """Return the JSON-RPC error that answers the request in `body`."""
    try:
        found: object = msgspec.json.decode(body)
    except ValueError:
        found = None
    id_ = cast("dict[str, Any]", found).get("id") if isinstance(found, dict) else None
    error = {"code": INVALID_REQUEST, "message": sentence}
    return to_json({"jsonrpc": "2.0", "id": id_, "error": error})


async def _receive_nothing() -> Message:
    raise NotImplementedError
