"""Discovery of the issuer of tokens (RFC 9728).

A client derives the address of the description from that of the resource (§3.1): the
resource `/env/staging/mcp` is described at
`/.well-known/oauth-protected-resource/env/staging/mcp`, and at the address that a 401
names.
"""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from herald_core.model.codec import to_json
from herald_server.api.http.challenges import get_base_url
from herald_server.api.http.problems import Problem
from herald_server.auth.tokens.protected_resource import (
    MCP_PATH,
    WELL_KNOWN,
    ProtectedResource,
)
from herald_server.insight.environments import PATH_PREFIX

NO_ISSUER = (
    "this server names no issuer of tokens to its clients; set HERALD_JWT_ISSUER to "
    "the URL of one"
)


class DiscoveryRoutes:
    """Serves the description of this server and of its MCP endpoint.

    `has_environment` returns True if there is an environment of that name below this
    one.
    """

    def __init__(
        self,
        resource: ProtectedResource | None,
        has_environment: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._resource = resource
        self._has_environment = has_environment

    def list_routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route(WELL_KNOWN, self.describe, methods=["GET"]),
            Route(f"{WELL_KNOWN}/{{path:path}}", self.describe, methods=["GET"]),
        ]

    async def describe(self, request: Request) -> Response:
        """Return the metadata of a resource. Needs no token."""
        if self._resource is None:
            raise Problem(404, NO_ISSUER)
        path = self._parse_path(request)
        if path is None:
            raise Problem(404, f"there is nothing at {request.url.path}")
        told = self._resource.describe(get_base_url(request.scope), path)
        return Response(to_json(told), media_type="application/json")

    def _parse_path(self, request: Request) -> str | None:
        """Return the path of the resource below this environment; None if none is
        there."""
        given = f"/{request.path_params.get('path', '')}".rstrip("/")
        path = given.removeprefix(request.scope.get("root_path", ""))
        if path in ("", MCP_PATH):
            return path
        prefix, _, rest = path.removeprefix("/").partition("/")
        name, slash, below = rest.partition("/")
        is_there = prefix == PATH_PREFIX and self._has_environment(name)
        return path if is_there and slash + below in ("", MCP_PATH) else None
