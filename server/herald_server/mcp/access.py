"""Who calls over MCP, and whether they may."""

from __future__ import annotations

from fastmcp.exceptions import ToolError
from fastmcp.server.context import Context
from fastmcp.server.dependencies import get_context, get_http_request

from herald_monitor.errors import HeraldError
from herald_server.auth import Identity

LOCAL = Identity("local")
"""Whoever runs `herald mcp` on their own machine."""


class NotAllowed(HeraldError):
    """A caller lacks a scope."""


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
    return who


def _over_http() -> bool:
    try:
        context: Context = get_context()
    except RuntimeError:
        return False
    return context.transport in ("streamable-http", "sse")


def refusal(error: HeraldError) -> ToolError:
    """Return `error` as what a tool raises: its sentence goes to the model."""
    # Expected and told to the caller: no line in the log of the server.
    return ToolError(str(error), log_level=10)
