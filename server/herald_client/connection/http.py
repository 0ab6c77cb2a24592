"""HTTP client of the REST API, with connections that may be kept open."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import TypeVar
from urllib.parse import urlencode

import httpx2
import msgspec

from herald_client.connection.error_messages import (
    describe_error,
    make_problem,
    make_unreachable,
)
from herald_client.connection.url import ServerUrl
from herald_client.errors import Unreachable

STALE_HEADER = "herald-stale-since"
"""Header of an answer that may be outdated: since when, or `unknown`."""

TIMEOUT_S = 30.0

STREAM_TIMEOUT_S = 300.0
"""Seconds between two pieces of a stream: a search may find nothing for long."""

KEEP_ALIVE_S = 4.0
"""Less than the 5 s after which the server closes a connection without requests."""

T = TypeVar("T")
Query = Mapping[str, object]
_NOTHING: Query = {}


class HttpClient:
    """Sends requests to the REST API.

    `tell` is called once with a message if a response may be outdated. Raises
    `Unreachable` if the proxy that the environment names cannot be used.
    """

    def __init__(
        self,
        address: ServerUrl,
        timeout: float = TIMEOUT_S,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self._server_url = address
        self._timeout = timeout
        self._notify = tell
        self._http = _open_client(address)
        # Connections belong to an event loop, and callers may use several.
        self._http.headers["Connection"] = "close"

    def keep_connections(self) -> None:
        """Keep connections open between requests, until `aclose`."""
        self._http.headers["Connection"] = "keep-alive"

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def get(
        self, path: str, type_: type[T], query: Query = _NOTHING, also: int = 200
    ) -> T:
        """Return the resource at `path`, decoded as `type_`; accept
        status `also` too."""
        status, body = await self._send("GET", _add_query(path, query))
        if status not in (200, also):
            raise make_problem(self._server_url, status, body)
        return self._decode(body, type_, status)

    async def stream(
        self, path: str, query: Query = _NOTHING
    ) -> AsyncGenerator[bytes, None]:
        """Yield the body of the resource at `path` in pieces, as they come."""
        target = (self._server_url.path + _add_query(path, query)).encode()
        try:
            async with self._http.stream(
                "GET",
                self._server_url.url,
                timeout=STREAM_TIMEOUT_S,
                extensions={"target": target},
            ) as response:
                if response.status_code != 200:
                    body = await response.aread()
                    raise make_problem(self._server_url, response.status_code, body)
                async for piece in response.aiter_bytes():
                    yield piece
        except httpx2.RequestError as error:
            raise make_unreachable(self._server_url, describe_error(error)) from error

    async def post(
        self, path: str, said: Mapping[str, object], type_: type[T], also: int = 200
    ) -> T:
        """Send `said` to `path` and return the response, decoded as `type_`.

        `also` is accepted like status 200.
        """
        status, body = await self._send("POST", path, msgspec.json.encode(said))
        if status not in (200, 201, 202, also):
            raise make_problem(self._server_url, status, body)
        return self._decode(body, type_, status)

    async def delete(self, path: str, type_: type[T]) -> T:
        """Delete the resource at `path` and return the response, decoded as `type_`."""
        status, body = await self._send("DELETE", path)
        if status != 200:
            raise make_problem(self._server_url, status, body)
        return self._decode(body, type_, status)

    def _decode(self, body: bytes, type_: type[T], status: int) -> T:
        try:
            return msgspec.json.decode(body, type=type_)
        except msgspec.MsgspecError:
            # A problem document with a status that is also good, or no Herald.
            if status != 200:
                raise make_problem(self._server_url, status, body) from None
            raise Unreachable(
                f"what answers at {self._server_url.url} is no Herald, or one of "
                "another version; check HERALD_URL"
            ) from None

    async def _send(
        self, method: str, path: str, body: bytes | None = None
    ) -> tuple[int, bytes]:
        headers = {} if body is None else {"Content-Type": "application/json"}
        # Unnormalised: httpx would resolve a task id of two dots as the parent folder.
        target = (self._server_url.path + path).encode()
        try:
            async with asyncio.timeout(self._timeout):
                response = await self._http.request(
                    method,
                    self._server_url.url,
                    content=body,
                    headers=headers,
                    extensions={"target": target},
                )
        except (TimeoutError, httpx2.RequestError) as error:
            raise make_unreachable(self._server_url, describe_error(error)) from error
        self._report_age(response)
        return response.status_code, response.content

    def _report_age(self, response: httpx2.Response) -> None:
        since = response.headers.get(STALE_HEADER)
        if since is None or self._notify is None:
            return
        tell, self._notify = self._notify, None
        known = "" if since == "unknown" else f" since {since}"
        tell(f"this may be outdated: Herald has not been up to date{known}")


def _open_client(address: ServerUrl) -> httpx2.AsyncClient:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if address.secure:
        tls = ssl.create_default_context()  # loads all certificates: 30 ms
    try:
        return httpx2.AsyncClient(
            headers=[("Accept", "application/json"), *address.headers],
            verify=tls,
            timeout=None,  # `_send` limits a request as a whole
            limits=httpx2.Limits(keepalive_expiry=KEEP_ALIVE_S),
            trust_env=not address.is_local,
        )
    except (ImportError, ValueError, httpx2.InvalidURL) as error:
        raise make_unreachable(address, str(error).rstrip(".")) from error


def _add_query(path: str, query: Query) -> str:
    parameters = {k: v for k, v in query.items() if v is not None}
    return path + (f"?{urlencode(parameters, doseq=True)}" if parameters else "")
