"""Identities, scopes and tokens; allowed hosts and origins."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

import msgspec

from herald_core.errors import HeraldError
from herald_core.model.filters import Filter
from herald_core.model.tasks.views import TaskView

SCOPES = ("read", "start", "cancel", "admin", "mark")
DEFAULT_ENVIRONMENT = "default"
"""Name of the environment at the root of a server."""

ISSUED_PREFIX = "jwt:"
"""Prefix of the names of tokens of an external issuer."""

PROXIED_PREFIX = "oauth:"
"""Prefix of the names of people for whom a client got a token at this server."""

LOOPBACK = ("127.0.0.1", "localhost", "::1")
TOKEN_PROTOCOL_PREFIX = "bearer."
"""Prefix of the WebSocket subprotocol in which a browser sends its token."""


HOST_PATTERN = re.compile(
    r"(?:\[([0-9a-f:.]+(?:%[a-z0-9._~%-]+)?)\]|([a-z0-9._-]+))(?::[0-9]*)?"
)
"""What a Host header may be (RFC 9110 §7.2): an IPv6 address in brackets or a name,
and a port."""


class PermissionDenied(HeraldError):
    """A caller lacks a scope, or the request is outside the filter of its token."""


class MissingScope(PermissionDenied):
    """A caller lacks `scope`; a token of an issuer may get it."""

    def __init__(self, message: str, scope: str) -> None:
        super().__init__(message)
        self.scope = scope


class ScopedTokenRefused(PermissionDenied):
    """A task-scoped token was used for something that is not about its tasks."""

    def __init__(self, what: str = "this") -> None:
        super().__init__(
            f"{what} is not for a token that is narrowed to some tasks; use one that "
            "sees everything"
        )


class Identity(msgspec.Struct, frozen=True):
    """The name, scopes and visible tasks of a caller.

    `task_filter` limits what it can see and do to matching tasks (None: every task).
    `expires` is in unix seconds. `id` is what revokes the token, empty if nothing can;
    `issuers` are the ids of the tokens from which it was minted: revoking one of them
    revokes it too. `environments` are those in which it is valid (None: in all).
    `obtainable` are the scopes that its issuer can give it (None: it is not known).
    """

    name: str
    scopes: frozenset[str] = frozenset(SCOPES)
    task_filter: Filter | None = None
    expires: float | None = None
    id: str = ""
    issuers: tuple[str, ...] = ()
    environments: tuple[str, ...] | None = (DEFAULT_ENVIRONMENT,)
    obtainable: frozenset[str] | None = None

    @property
    def root_token(self) -> str:
        """Name of the token from which it was minted, or its own.

        Limits a token are counted under this name, so minting more tokens does not
        raise them.
        """
        return self.name.partition("/")[0]

    @property
    def can_step_up(self) -> bool:
        """Whether its issuer may give it more scopes: it is not minted by Herald."""
        prefixes = ISSUED_PREFIX, PROXIED_PREFIX
        return self.name.startswith(prefixes) and "/" not in self.name

    @property
    def potential_scopes(self) -> frozenset[str]:
        """The scopes that it has or that its issuer may give it."""
        if not self.can_step_up:
            return self.scopes
        return frozenset(SCOPES) if self.obtainable is None else self.obtainable

    @property
    def payer_token(self) -> str:
        """Name of the account that pays for CPU time.

        A token minted from a token of the settings has an account of its own; what it
        mints itself is charged to that account.
        """
        return "/".join(self.name.split("/", 2)[:2])

    def has_scope(self, scope: str) -> bool:
        """Return True if it has `scope`."""
        return scope in self.scopes

    def may_use(self, environment: str) -> bool:
        """Return True if it is valid in `environment`."""
        return self.environments is None or environment in self.environments

    def can_see(self, task: TaskView) -> bool:
        """Return True if `task` is visible to it."""
        return self.task_filter is None or self.task_filter.matches(task)


class StaticTokens:
    """Static tokens. Only their hashes are kept in memory."""

    def __init__(
        self,
        tokens: Mapping[str, Identity],
        hashes: Mapping[bytes, Identity] | None = None,
    ) -> None:
        self._identities = [(_hash_token(token), who) for token, who in tokens.items()]
        self._identities += (hashes or {}).items()

    def add(self, others: StaticTokens) -> None:
        """Accept the tokens of `others` too."""
        self._identities += others._identities

    def find_identity(self, token: str | None) -> Identity | None:
        """Return the identity of `token`. Takes the same time for any wrong token."""
        if not token:
            return None
        digest = _hash_token(token)
        found: Identity | None = None
        for known, who in self._identities:
            if hmac.compare_digest(known, digest):
                found = who
        return found


def _hash_token(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def make_token() -> str:
    """Return a new random token of 192 bits."""
    return secrets.token_urlsafe(24)


def parse_bearer(authorization: str | None) -> str | None:
    """Return the token of an `Authorization` header (RFC 6750)."""
    scheme, _, token = (authorization or "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def parse_protocol_token(protocols: Iterable[str]) -> str | None:
    """Return the token among WebSocket subprotocols: `bearer.<base64url>`."""
    for protocol in protocols:
        if protocol.startswith(TOKEN_PROTOCOL_PREFIX):
            text = protocol[len(TOKEN_PROTOCOL_PREFIX) :]
            try:
                raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
                return raw.decode()
            except (binascii.Error, ValueError):
                return None
    return None


class AllowedOrigins:
    """Hosts and origins from which requests are accepted.

    A web page of another site must not reach a Herald on its visitor's machine. The
    `Host` must be a known one (DNS rebinding), and an `Origin` must be that same host
    or an allowed one. An IP address as `Host` cannot be rebound; kubelet and Prometheus
    send one.
    """

    def __init__(self, hosts: Iterable[str], origins: Iterable[str] = ()) -> None:
        self._hosts = {h.lower() for h in (*LOOPBACK, *hosts)}
        self._origins = {o.lower().rstrip("/") for o in origins}

    def is_host_allowed(self, host: str | None) -> bool:
        """Return True if `host` (a Host header) is a known one."""
        name = _parse_host_name(host)
        return "*" in self._hosts or name in self._hosts or _is_address(name)

    def is_origin_allowed(self, origin: str | None, host: str | None) -> bool:
        """Return True if a page of `origin` may send requests to this server."""
        if origin is None:
            return True
        if "*" in self._origins or origin.lower() in self._origins:
            return True
        try:
            scheme, place, *rest = urlsplit(origin)
        except ValueError:
            return False
        return (
            scheme in ("http", "https")
            and not any(rest)
            and place.lower() == (host or "").lower() != ""
        )


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _parse_host_name(host: str | None) -> str:
    """Return the host name in a Host header, without its port; empty
    if it is invalid."""
    found = HOST_PATTERN.fullmatch((host or "").lower())
    return "" if found is None else found[1] or found[2]
