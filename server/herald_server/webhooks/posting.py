"""One request to an endpoint: to a checked address, in bounded time and memory.

httpcore2 rather than httpx2, which is built on it: here the network is ours to
choose, and it follows no redirects, keeps no cookies and heeds no proxies from the
environment. Both come with FastMCP anyway.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable, Mapping
from typing import Any, cast

import httpcore2
import msgspec

from herald_server.webhooks.address import Guard, Refused, Unresolved

TIMEOUT = 15.0
CONNECT_WITHIN = 5.0
KEEP_ALIVE = 30.0
FINISH_WITHIN = 1.0
MOST_ANSWER = 16_384
"""Bytes of an answer that are read, so that its connection can be used again."""

GONE = 410


class Answer(msgspec.Struct, frozen=True):
    """What came of a request: an HTTP status, or 0 and what was wrong."""

    status: int = 0
    why: str = ""
    retry_after: str | None = None

    @property
    def accepted(self) -> bool:
        """Whether the endpoint took it."""
        return 200 <= self.status < 300

    @property
    def sentence(self) -> str:
        """What came of it, for people."""
        if self.status and 300 <= self.status < 400:
            return (
                f"HTTP {self.status}: redirects are not followed; register the URL "
                "itself"
            )
        return f"HTTP {self.status}" if self.status else self.why


class GuardedNetwork(httpcore2.AsyncNetworkBackend):
    """Connects to addresses that the guard lets pass, and to no others."""

    def __init__(self, guard: Guard) -> None:
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
        """Connect to one of the addresses of `host`, the first that answers."""
        failed: Exception | None = None
        for address in await self._guard.addresses(host, port):
            try:
                return await self._network.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failed = error
        assert failed is not None
        raise failed


class Poster:
    """Posts to one endpoint, over connections of its own."""

    def __init__(
        self,
        guard: Guard,
        connections: int,
        tls: ssl.SSLContext | None = None,
        timeout: float = TIMEOUT,
    ) -> None:
        self._timeout = timeout
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=tls,
            max_connections=connections,
            max_keepalive_connections=connections,
            keepalive_expiry=KEEP_ALIVE,
            network_backend=GuardedNetwork(guard),
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._pool.aclose()

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Post `body`; return what came of it, whatever that is."""
        try:
            async with asyncio.timeout(self._timeout):
                return await self._post(url, headers, body)
        except TimeoutError:
            return Answer(why=f"no answer within {self._timeout:g} s")
        except (Refused, Unresolved) as error:
            return Answer(why=str(error))
        except httpcore2.TimeoutException:
            return Answer(why=f"no connection within {CONNECT_WITHIN:g} s")
        except Exception as error:  # whatever an endpoint brings about
            return Answer(why=_said(error))

    async def _post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        async with self._pool.stream(
            "POST",
            url,
            headers=list(headers.items()),
            content=body,
            extensions={"timeout": {"connect": CONNECT_WITHIN}},
        ) as response:
            told = {k.lower(): v for k, v in response.headers}
            after = told.get(b"retry-after", b"").decode("latin-1") or None
            await _finish(response)
            return Answer(response.status, retry_after=after)


async def _finish(response: httpcore2.Response) -> None:
    """Read what else comes, so that the connection can be used again.

    The status is the answer: what follows it, or does not, changes nothing.
    """
    size = 0
    try:
        async with asyncio.timeout(FINISH_WITHIN):
            async for chunk in response.aiter_stream():
                size += len(chunk)
                if size > MOST_ANSWER:
                    break
    except (TimeoutError, httpcore2.NetworkError, httpcore2.ProtocolError):
        pass


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error)[:200]}".rstrip(": ")
