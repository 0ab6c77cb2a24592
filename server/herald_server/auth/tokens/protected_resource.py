"""What a client needs to know to get a token of the issuer (RFC 9728, RFC 6750). Pure.

A client without a token reads from the response 401 where the description of this
resource is. The description names the issuer, at which the client gets a token whose
audience is this resource (RFC 8707).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from herald_server.auth.identity import SCOPES
from herald_server.auth.tokens.claims import SCOPE_PREFIX

WELL_KNOWN = "/.well-known/oauth-protected-resource"
"""Path of the description (RFC 9728 §3.1)."""

MCP_PATH = "/mcp"
REALM = 'Bearer realm="herald"'
INVALID_TOKEN = "invalid_token"
INSUFFICIENT_SCOPE = "insufficient_scope"


class ProtectedResource(msgspec.Struct, frozen=True):
    """One environment of this server, as a resource of an issuer.

    `public_url` is the address by which clients reach it, without a slash at its end;
    empty if it is to be taken from each request. `scopes` are those that a client
    requests when it connects; scopes of Herald are written `read` or `herald:read`.
    """

    issuer: str
    scopes: tuple[str, ...]
    public_url: str = ""

    def describe(self, base_url: str, path: str = "") -> dict[str, Any]:
        """Return the metadata of the resource at `base_url` and `path`."""
        return {
            "resource": base_url + path,
            "authorization_servers": [self.issuer],
            "scopes_supported": self.list_scopes(),
            "bearer_methods_supported": ["header"],
            "resource_name": "Herald",
        }

    def list_scopes(self) -> list[str]:
        """Return the scopes that a client may request."""
        others = [word for word in self.scopes if _strip(word) not in SCOPES]
        return [*self.write_scopes(SCOPES), *others]

    def write_scopes(self, scopes: Iterable[str]) -> list[str]:
        """Return `scopes` as the issuer names them."""
        prefix = SCOPE_PREFIX if self._is_prefixed else ""
        return [prefix + scope for scope in scopes]

    @property
    def _is_prefixed(self) -> bool:
        return any(word.startswith(SCOPE_PREFIX) for word in self.scopes)

    def list_audiences(self) -> list[str]:
        """Return the audiences of tokens for this resource; none without its URL."""
        if not self.public_url:
            return []
        found = (self.public_url, self.public_url + MCP_PATH)
        return [audience + slash for audience in found for slash in ("", "/")]


def _strip(word: str) -> str:
    return word.removeprefix(SCOPE_PREFIX)


def format_challenge(**parameters: str) -> str:
    """Return the value of `WWW-Authenticate` with the given parameters.

    Empty ones are left out. Characters that RFC 6750 §3 does not allow are replaced.
    """
    given = [f'{name}="{_clean(text)}"' for name, text in parameters.items() if text]
    return ", ".join([REALM, *given])


def _clean(text: str) -> str:
    plain = text.replace('"', "'").replace("\\", "/")
    return "".join(c if " " <= c <= "~" else "?" for c in plain)
