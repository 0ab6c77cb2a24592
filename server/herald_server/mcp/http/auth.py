"""Authorization of MCP requests, and errors in MCP's terms."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager, suppress
from contextvars import ContextVar

from fastmcp.exceptions import ToolError
from fastmcp.server.context import Context
from fastmcp.server.dependencies import get_context, get_http_request
from mcp.shared.exceptions import MCPError
from mcp.types import INTERNAL_ERROR, INVALID_PARAMS, INVALID_REQUEST
from msgspec import structs

from herald_core.errors import HeraldError, InvalidInput
from herald_server.api.http.challenges import RESOURCE
from herald_server.auth.identity import (
    Identity,
    MissingScope,
    PermissionDenied,
)
from herald_server.auth.request_context import set_identity

MISSING_SCOPE = "missing_scope"
"""Where the state of a request holds the `MissingScope` that refused its call."""

LOCAL_USER = Identity("local")
"""Identity of the user who runs `herald mcp` on their own machine."""

local_user: ContextVar[Identity] = ContextVar("local_user", default=LOCAL_USER)
"""The same with the scopes that they chose."""


def get_caller() -> Identity:
    """Return the identity of the HTTP request, or the local user.

    Raises `PermissionDenied` if an HTTP request has none.
    """
    try:
        request = get_http_request()
    except RuntimeError:
        if _is_http_request():
            raise PermissionDenied(
                "this call cannot be attributed to a token"
            ) from None
        return local_user.get()
    who: Identity | None = request.scope.get("state", {}).get("identity")
    if who is None:
        raise PermissionDenied("a valid token is needed: Authorization: Bearer TOKEN")
    return who


def get_potential_caller() -> Identity:
    """Return the caller, with the scopes that its issuer may still give it.

    Its client can ask for them once a call needs them (`step_up.py`).
    """
    who = get_caller()
    if not who.can_step_up or _find_resource() is None:
        return who
    return structs.replace(who, scopes=who.potential_scopes)


def require_scope(scope: str, what: str = "this") -> Identity:
    """Return the caller if it has `scope`. Raises `PermissionDenied`."""
    who = get_caller()
    if not who.has_scope(scope):
        raise _note_missing_scope(
            MissingScope(f"{what} needs a token with the scope {scope}", scope)
        )
    # A session serves its calls in its own tasks, which do not have the context
    # variables of the request.
    set_identity(who)
    return who


def _find_resource() -> object:
    """Return how clients of this request get tokens; None if they cannot."""
    state: dict[str, object] = get_http_request().scope["state"]
    return state.get(RESOURCE)


def _note_missing_scope(error: MissingScope) -> MissingScope:
    """Let the response say which scope is missing (`step_up.py`)."""
    with suppress(RuntimeError):
        get_http_request().scope.setdefault("state", {})[MISSING_SCOPE] = error
    return error


def _is_http_request() -> bool:
    try:
        context: Context = get_context()
    except RuntimeError:
        return False
    return context.transport in ("streamable-http", "sse")


@contextmanager
def convert_to_tool_error() -> Generator[None, None, None]:
    """Raise Herald's errors as `ToolError`: the model reads the message."""
    try:
        yield
    except HeraldError as error:
        if isinstance(error, MissingScope):
            _note_missing_scope(error)
        # Expected, and reported to the caller: not logged.
        raise ToolError(str(error), log_level=logging.DEBUG) from error


@contextmanager
def convert_to_mcp_error() -> Generator[None, None, None]:
    """Raise Herald's errors as `MCPError`, for methods of the protocol."""
    try:
        yield
    except PermissionDenied as error:
        if isinstance(error, MissingScope):
            _note_missing_scope(error)
        raise MCPError(INVALID_REQUEST, str(error)) from error
    except InvalidInput as error:
        raise MCPError(INVALID_PARAMS, str(error)) from error
    except HeraldError as error:
        raise MCPError(INTERNAL_ERROR, str(error)) from error
