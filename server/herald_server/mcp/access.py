"""Who calls over MCP, and whether they may."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager

from fastmcp.exceptions import ToolError
from fastmcp.server.context import Context
from fastmcp.server.dependencies import get_context, get_http_request
from mcp.shared.exceptions import MCPError
from mcp.types import INTERNAL_ERROR, INVALID_PARAMS, INVALID_REQUEST

from herald_monitor.errors import BadInput, HeraldError
from herald_server.auth import Identity, NotAllowed
from herald_server.caller import become

LOCAL = Identity("local")
"""Whoever runs `herald mcp` on their own machine."""


def caller() -> Identity:
    """Return who calls: the identity of the HTTP request, else the local user.

    Raises `NotAllowed` where an HTTP request carries none.
    """
    try:
        request = get_http_request()
    except RuntimeError:
        if _over_http():
            raise NotAllowed("this call cannot be told to anybody's token") from None
        return LOCAL
    who: Identity | None = request.scope.get("state", {}).get("identity")
    if who is None:
        raise NotAllowed("a valid token is needed: Authorization: Bearer TOKEN")
    return who


def demand(scope: str, what: str = "this") -> Identity:
    """Return the caller if they have `scope`. Raises `NotAllowed`."""
    who = caller()
    if not who.may(scope):
        raise NotAllowed(f"{what} needs a token with the scope {scope}")
    # A session serves its calls in tasks of its own, so what a door said of the
    # request is not known there.
    become(who)
    return who


def _over_http() -> bool:
    try:
        context: Context = get_context()
    except RuntimeError:
        return False
    return context.transport in ("streamable-http", "sse")


@contextmanager
def refusing() -> Generator[None, None, None]:
    """Raise what Herald refuses as `ToolError`: its sentence goes to the model."""
    try:
        yield
    except HeraldError as error:
        # Expected, and told to the caller: nothing for the server's log.
        raise ToolError(str(error), log_level=logging.DEBUG) from error


@contextmanager
def serving() -> Generator[None, None, None]:
    """Raise what Herald refuses as `MCPError`, for methods of the protocol itself."""
    try:
        yield
    except NotAllowed as error:
        raise MCPError(INVALID_REQUEST, str(error)) from error
    except BadInput as error:
        raise MCPError(INVALID_PARAMS, str(error)) from error
    except HeraldError as error:
        raise MCPError(INTERNAL_ERROR, str(error)) from error
