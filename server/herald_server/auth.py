"""One check of tokens, one of Origin and Host, for every door."""

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

from herald_monitor.errors import HeraldError
from herald_monitor.model.filters import Filter
from herald_monitor.model.shape import TaskImage

SCOPES = ("read", "start", "cancel", "admin")
LOOPBACK = ("127.0.0.1", "localhost", "::1")
PROTOCOL = "bearer."
"""Prefix of the WebSocket subprotocol in which a browser sends its token."""


HOST = re.compile(
    r"(?:\[([0-9a-f:.]+(?:%[a-z0-9._~%-]+)?)\]|([a-z0-9._-]+))(?::[0-9]*)?"
)
"""What a Host header may be (RFC 9110 §7.2): an IPv6 address in brackets or a name,
and a port."""


class NotAllowed(HeraldError):
    """A caller lacks a scope, or asks for what their token does not cover."""


class Narrow(NotAllowed):
    """A narrow token was used for something that is not about its tasks."""

    def __init__(self, what: str = "this") -> None:
        super().__init__(
            f"{what} is not for a token that is narrowed to some tasks; use one that "
            "sees everything"
        )


class Identity(msgspec.Struct, frozen=True):
    """Who somebody is, what they may do, and which tasks exist for them.

    `only` narrows all that they see and do (None: every task). `expires` is in unix
    seconds. `id` is what revokes the token, empty if nothing can; `by` are the ids
    of the tokens that it was made from: with one of them it is revoked too.
    """

    name: str
    scopes: frozenset[str] = frozenset(SCOPES)
    only: Filter | None = None
    expires: float | None = None
    id: str = ""
    by: tuple[str, ...] = ()

    @property
    def root(self) -> str:
        """The name of the token that it was made from, or of itself.

        What is counted for each token is counted for this one: minting more of them
        permits no more.
        """
        return self.name.partition("/")[0]

    @property
    def payer(self) -> str:
        """The name of the token whose CPU time is taken.

        Each that was made from a token of the settings has its own; what it mints
        itself is counted for it.
        """
        return "/".join(self.name.split("/", 2)[:2])

    def may(self, scope: str) -> bool:
        """Say whether `scope` was given."""
        return scope in self.scopes

    def sees(self, task: TaskImage) -> bool:
        """Say whether `task` exists for them."""
        return self.only is None or self.only.matches(task)


class Tokens:
    """The tokens that open doors. Only their hashes are kept."""

    def __init__(
        self,
        tokens: Mapping[str, Identity],
        hashes: Mapping[bytes, Identity] | None = None,
    ) -> None:
        self._known = [(_digest(token), who) for token, who in tokens.items()]
        self._known += (hashes or {}).items()

    def add(self, others: Tokens) -> None:
        """Let those of `others` open doors too."""
        self._known += others._known

    def check(self, token: str | None) -> Identity | None:
        """Return who `token` belongs to. Takes the same time for any wrong token."""
        if not token:
            return None
        digest = _digest(token)
        found: Identity | None = None
        for known, who in self._known:
            if hmac.compare_digest(known, digest):
                found = who
        return found


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def new_token() -> str:
    """Return a fresh token of 192 bits."""
    return secrets.token_urlsafe(24)


def bearer(authorization: str | None) -> str | None:
    """Return the token of an `Authorization` header (RFC 6750)."""
    scheme, _, token = (authorization or "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def protocol_token(protocols: Iterable[str]) -> str | None:
    """Return the token among WebSocket subprotocols: `bearer.<base64url>`."""
    for protocol in protocols:
        if protocol.startswith(PROTOCOL):
            text = protocol[len(PROTOCOL) :]
            try:
                raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
                return raw.decode()
            except (binascii.Error, ValueError):
                return None
    return None


class Surroundings:
    """From which hosts and pages requests may come.

    A web page elsewhere must not reach a Herald on its visitor's machine: the
    `Host` must be one of ours (DNS rebinding), and an `Origin`, where a browser
    sends one, must be that same host or one that is allowed. An IP address as
    `Host` is no name that DNS could rebind; kubelet and Prometheus send one.
    """

    def __init__(self, hosts: Iterable[str], origins: Iterable[str] = ()) -> None:
        self._hosts = {h.lower() for h in (*LOOPBACK, *hosts)}
        self._origins = {o.lower().rstrip("/") for o in origins}

    def host_fits(self, host: str | None) -> bool:
        """Say whether `host` (a Host header) is one of ours."""
        name = _name(host)
        return "*" in self._hosts or name in self._hosts or _is_address(name)

    def origin_fits(self, origin: str | None, host: str | None) -> bool:
        """Say whether a page of `origin` may talk to us."""
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


def _name(host: str | None) -> str:
    """Return the name in a Host header, without its port; nothing if it is none."""
    found = HOST.fullmatch((host or "").lower())
    return "" if found is None else found[1] or found[2]
