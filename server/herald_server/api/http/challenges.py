"""`WWW-Authenticate` of refusals: what is wrong with a token, and where to get one.

RFC 6750 §3 (errors), RFC 9728 §5.1 (`resource_metadata`).
"""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import Scope

from herald_server.auth.identity import SCOPES, Identity
from herald_server.auth.tokens.protected_resource import (
    INSUFFICIENT_SCOPE,
    INVALID_TOKEN,
    MCP_PATH,
    WELL_KNOWN,
    ProtectedResource,
    format_challenge,
)

RESOURCE = "protected_resource"
"""Where the state of a connection holds its `ProtectedResource`, if it has one."""

TOKEN_ERROR = "token_error"
"""Where it says what is wrong with the token that was sent."""


def make_token_challenge(connection: Scope, error: str = "") -> dict[str, str]:
    """Return the header of a 401; `error` says what is wrong with the token.

    Without a token there is no error code (RFC 6750 §3.1).
    """
    error = error or connection.get("state", {}).get(TOKEN_ERROR, "")
    resource = _find_resource(connection)
    return _make_header(
        connection,
        error=INVALID_TOKEN if error else "",
        error_description=error,
        scope=" ".join(resource.scopes) if resource else "",
    )


def make_scope_challenge(
    connection: Scope, scope: str, sentence: str
) -> dict[str, str]:
    """Return the header of a 403 for a token that lacks `scope`.

    It names the scopes of the token as well, so that a new one has all of them.
    """
    who: Identity | None = connection.get("state", {}).get("identity")
    wanted = [one for one in SCOPES if one == scope or (who and who.has_scope(one))]
    resource = _find_resource(connection)
    return _make_header(
        connection,
        error=INSUFFICIENT_SCOPE,
        error_description=sentence,
        scope=" ".join(resource.write_scopes(wanted) if resource else wanted),
    )


def _make_header(connection: Scope, **parameters: str) -> dict[str, str]:
    metadata = ""
    if _find_resource(connection):
        is_mcp = get_path(connection).startswith(MCP_PATH)
        path = WELL_KNOWN + MCP_PATH if is_mcp else WELL_KNOWN
        metadata = get_base_url(connection) + path
    challenge = format_challenge(**parameters, resource_metadata=metadata)
    return {"WWW-Authenticate": challenge}


def get_base_url(connection: Scope) -> str:
    """Return the URL of this environment, by which its clients reach it."""
    resource = _find_resource(connection)
    if resource is not None and resource.public_url:
        return resource.public_url
    host = Headers(scope=connection).get("host", "")
    scheme = {"ws": "http", "wss": "https"}.get(
        connection["scheme"], connection["scheme"]
    )
    return f"{scheme}://{host}{connection.get('root_path', '')}"


def get_path(connection: Scope) -> str:
    """Return the path of a request below that of its environment."""
    path: str = connection["path"]
    return path.removeprefix(connection.get("root_path", ""))


def _find_resource(connection: Scope) -> ProtectedResource | None:
    found: ProtectedResource | None = connection.get("state", {}).get(RESOURCE)
    return found
