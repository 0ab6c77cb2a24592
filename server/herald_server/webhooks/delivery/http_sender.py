"""Send one request to an endpoint: to a checked address, in bounded time and memory.

It uses httpcore2 rather than httpx2, which is built on it: the network backend can be
replaced, and it follows no redirects, stores no cookies and uses no proxies of the
environment. Both are dependencies of FastMCP anyway.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable, Mapping
from typing import Any, cast

import httpcore2
import msgspec

from herald_server.webhooks.ssrf_guard import (
    AddressUnresolved,
    ForbiddenAddress,
    SsrfGuard,
)

TIMEOUT_S = 15.0
CONNECT_TIMEOUT_S = 5.0
KEEP_ALIVE_S = 30.0
FINISH_TIMEOUT_S = 1.0
MAX_ANSWER_BYTES = 16_384
"""Bytes of an answer that are read, so that its connection can be used again."""

HTTP_GONE = 410


class HttpResult(msgspec.Struct, frozen=True):
    """Result of a request: an HTTP status, or 0 and the error."""

    status: int = 0
    why: str = ""
    retry_after: str | None = None

    @property
    def is_accepted(self) -> bool:
        """Whether the endpoint accepted the message."""
        return 200 <= self.status < 300

    @property
    def description(self) -> str:
        """The result as text."""
        if self.status and 300 <= self.status < 400:
            return (
                f"HTTP {self.status}: redirects are not followed; register the URL "
                "itself"
            )
        return f"HTTP {self.status}" if self.status else self.why


class GuardedNetwork(httpcore2.AsyncNetworkBackend):
    """Connects only to addresses that the guard allows."""

    def __init__(self, guard: SsrfGuard) -> None:
        self._guard = guard
        # Its type depends on what is installed.
        self._network = cast(httpcore2.AsyncNetworkBackend, httpcore2.AnyIOBackend())

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore2's
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Connect to the first address of `host` that answers."""
        failed: Exception | None = None
        for address in await self._guard.resolve_allowed(host, port):
            try:
                return await self._network.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failed = error
        assert failed is not None
        raise failed


class HttpSender:
    """Sends messages to one endpoint, over connections of its own."""

    def __init__(
        self,
        guard: SsrfGuard,
        connections: int,
        tls: ssl.SSLContext | None = None,
        timeout: float = TIMEOUT_S,
    ) -> None:
        self._timeout = timeout
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=tls,
            max_connections=connections,
            max_keepalive_connections=connections,
            keepalive_expiry=KEEP_ALIVE_S,
            network_backend=GuardedNetwork(guard),
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._pool.aclose()

    async def post(
        self, url: str, headers: Mapping[str, str], body: bytes
    ) -> HttpResult:
        """Send `body`; return the result, errors included."""
        try:
            async with asyncio.timeout(self._timeout):
                return await self._post(url, headers, body)
        except TimeoutError:
            return HttpResult(why=f"no answer within {self._timeout:g} s")
        except (ForbiddenAddress, AddressUnresolved) as error:
            return HttpResult(why=str(error))
        except httpcore2.TimeoutException:
            return HttpResult(why=f"no connection within {CONNECT_TIMEOUT_S:g} s")
        except Exception as error:  # whatever an endpoint brings about
            return HttpResult(why=_describe_error(error))

    async def _post(
        self, url: str, headers: Mapping[str, str], body: bytes
    ) -> HttpResult:
        async with self._pool.stream(
            "POST",
            url,
            headers=list(headers.items()),
            content=body,
            extensions={"timeout": {"connect": CONNECT_TIMEOUT_S}},
        ) as response:
            told = {k.lower(): v for k, v in response.headers}
            after = told.get(b"retry-after", b"").decode("latin-1") or None
            await _drain_response(response)
            return HttpResult(response.status, retry_after=after)


async def _drain_response(response: httpcore2.Response) -> None:
    """Read the rest of the response, so that the connection can be reused.

    Only the status counts: errors after it are ignored.
    """
    size = 0
    try:
        async with asyncio.timeout(FINISH_TIMEOUT_S):
            async for chunk in response.aiter_stream():
                size += len(chunk)
                if size > MAX_ANSWER_BYTES:
                    break
    except (TimeoutError, httpcore2.NetworkError, httpcore2.ProtocolError):
        pass


def _describe_error(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error)[:200]}".rstrip(": ")
