"""Proxies whose headers are trusted: the address, the scheme and the user of a request.

A request keeps whether its peer itself is such a proxy: uvicorn replaces the peer's
address by the one that the proxy names.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address, ip_network

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from herald_server.auth.sso.ambient import TRUSTED_PEER


def read_proxy_headers(app: ASGIApp, proxies: Iterable[str]) -> ASGIApp:
    """Return `app`, which takes forwarding headers of `proxies`, and of nobody else."""
    listed = list(proxies)
    if not listed:
        return app
    inner = ProxyHeadersMiddleware(app, trusted_hosts=listed)  # type: ignore[arg-type]
    return TrustedPeers(inner, listed)  # type: ignore[arg-type]


class TrustedPeers:
    """ASGI middleware that notes whether the peer of a connection is one of `proxies`.

    `*` names nobody here: it would let every client say who it is.
    """

    def __init__(self, app: ASGIApp, proxies: Iterable[str]) -> None:
        self._app = app
        self._networks = [
            ip_network(one, strict=False) for one in proxies if _is_network(one)
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] in ("http", "websocket"):
            scope[TRUSTED_PEER] = self._is_trusted((scope.get("client") or ("",))[0])
        await self._app(scope, receive, send)

    def _is_trusted(self, address: str) -> bool:
        try:
            peer = ip_address(address)
        except ValueError:
            return False
        return any(peer in network for network in self._networks)


def _is_network(text: str) -> bool:
    try:
        ip_network(text, strict=False)
    except ValueError:
        return False
    return True
