"""What a route requires of its caller: a valid token with a scope."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from herald_server.api.http.problems import Problem
from herald_server.auth.identity import Identity, ScopedTokenRefused
from herald_server.auth.tokens.authenticator import TOKEN_NEEDED as UNKNOWN

TOKEN_NEEDED = f"{UNKNOWN}: Authorization: Bearer TOKEN"

AUTHENTICATE_HEADER = {"WWW-Authenticate": 'Bearer realm="herald"'}

Route = Callable[[Any, Request], Awaitable[Response]]


def require(scope: str, *, whole: bool = False) -> Callable[[Route], Route]:
    """Require a token with `scope` for a route.

    `whole`: reject task-scoped tokens. `admin` always rejects them: its actions concern
    more than tasks.
    """
    whole = whole or scope == "admin"

    def wrap(route: Route) -> Route:
        @wraps(route)
        async def checked(self: Any, request: Request) -> Response:
            who = require_scope(request.scope, scope)
            if whole and who.task_filter is not None:
                raise ScopedTokenRefused(request.url.path)
            return await route(self, request)

        return checked

    return wrap


def require_scope(connection: Scope, scope: str) -> Identity:
    """Return the caller of a request if it has `scope`. Raises `Problem`."""
    state = connection.get("state", {})
    who: Identity | None = state.get("identity")
    if who is None:
        raise Problem(
            401, state.get("refusal", TOKEN_NEEDED), make_authenticate_headers(state)
        )
    if not who.has_scope(scope):
        raise Problem(403, f"this token lacks the scope {scope}")
    return who


def make_authenticate_headers(state: Mapping[str, Any]) -> dict[str, str]:
    """Return the header of a 401 for a request with `state`."""
    # RFC 6750 §3.1: a request without a token gets no error code.
    if state.get("refusal", TOKEN_NEEDED) == TOKEN_NEEDED:
        return AUTHENTICATE_HEADER
    return {
        "WWW-Authenticate": AUTHENTICATE_HEADER["WWW-Authenticate"]
        + ', error="invalid_token"'
    }
