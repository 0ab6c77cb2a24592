"""What a route requires of its caller: a valid token with a scope."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from herald_server.api.http.challenges import make_scope_challenge, make_token_challenge
from herald_server.api.http.problems import Problem
from herald_server.auth.identity import Identity, ScopedTokenRefused
from herald_server.auth.tokens.authenticator import TOKEN_NEEDED as UNKNOWN

TOKEN_NEEDED = f"{UNKNOWN}: Authorization: Bearer TOKEN"

SCOPE_ATTRIBUTE = "required_scope"
"""Attribute of an endpoint with the scope that it requires."""

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

        setattr(checked, SCOPE_ATTRIBUTE, scope)
        return checked

    return wrap


def find_required_scope(endpoint: object) -> str | None:
    """Return the scope that `require` demands for an endpoint; None for none."""
    found: str | None = getattr(endpoint, SCOPE_ATTRIBUTE, None)
    return found


def require_scope(connection: Scope, scope: str) -> Identity:
    """Return the caller of a request if it has `scope`. Raises `Problem`."""
    state = connection.get("state", {})
    who: Identity | None = state.get("identity")
    if who is None:
        refusal = state.get("refusal", TOKEN_NEEDED)
        raise Problem(401, refusal, make_token_challenge(connection))
    if not who.has_scope(scope):
        sentence = f"this token lacks the scope {scope}"
        raise Problem(403, sentence, make_scope_challenge(connection, scope, sentence))
    return who
