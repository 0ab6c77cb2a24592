"""Sends requests with asyncio, over connections that may be kept open."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from inspect import isawaitable
from typing import TypeVar

import httpx2

from herald_client.connection.answers import (
    STREAM_TIMEOUT_S,
    UNAUTHENTICATED,
    AnswerReader,
    find_timeout,
)
from herald_client.connection.error_messages import describe_error, make_unreachable
from herald_client.connection.http_options import (
    make_client_options,
    make_request_options,
)
from herald_client.connection.token_source import AsyncRenew, TokenSource
from herald_client.connection.url import ServerUrl
from herald_client.requests.request import Request

T = TypeVar("T")


class AsyncTokens(TokenSource):
    """The token of an asyncio client; `renew` may be a coroutine function."""

    def __init__(self, token: str, renew: AsyncRenew | None) -> None:
        super().__init__(token, time.time(), can_renew=renew is not None)
        self._renew = renew
        self._lock = asyncio.Lock()

    async def refresh(self, *, refused: str | None = None) -> None:
        """Get a new token if it is time, or if `refused` is still the present one.

        Of several callers one asks. Raises what `renew` raises if the server refused
        the present token; before its end the next try follows some seconds later.
        """
        async with self._lock:
            if self._renew is None or not self.must_refresh(refused, time.time()):
                return
            try:
                given = self._renew()
                token = await given if isawaitable(given) else given
                self.replace(token, time.time())
            except Exception:
                self.delay(time.time())
                if refused is not None:
                    raise


class RequestSender:
    """Sends requests to the server at `address`.

    `notify` is called once with a message if a response may be outdated. Raises
    `Unreachable` if the proxy that the environment names cannot be used.
    """

    def __init__(
        self,
        address: ServerUrl,
        tokens: AsyncTokens,
        notify: Callable[[str], None] | None = None,
    ) -> None:
        self._server_url = address
        self._tokens = tokens
        self._reader = AnswerReader(address, notify)
        self._http = _open_client(address)
        # Connections belong to an event loop, and callers may use several.
        self._http.headers["Connection"] = "close"

    def keep_connections(self) -> None:
        """Keep connections open between requests, until `aclose`."""
        self._http.headers["Connection"] = "keep-alive"

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def send(self, request: Request[T]) -> T:
        """Send a request and return its decoded answer.

        A refused token is renewed once. Raises `Unreachable`, `AccessRefused`,
        `ServerProblem`.
        """
        await self._tokens.refresh()
        response = await self._send(request)
        if response.status_code == UNAUTHENTICATED and self._tokens.may_renew_refused:
            await self._tokens.refresh(refused=self._tokens.token)
            response = await self._send(request)
        if response.status_code != UNAUTHENTICATED:
            self._tokens.accept()
        return self._reader.read(
            request, response.status_code, response.headers, response.content
        )

    async def _send(self, request: Request[T]) -> httpx2.Response:
        options = make_request_options(
            self._server_url, request.target, self._tokens.headers, request.content
        )
        try:
            async with asyncio.timeout(find_timeout(request)):
                return await self._http.request(request.method, **options)
        except (TimeoutError, httpx2.RequestError) as error:
            raise make_unreachable(self._server_url, describe_error(error)) from error

    async def stream(self, request: Request[bytes]) -> AsyncGenerator[bytes, None]:
        """Yield the body of an answer in pieces, as they come."""
        await self._tokens.refresh()
        options = make_request_options(
            self._server_url, request.target, self._tokens.headers, request.content
        )
        try:
            async with self._http.stream(
                request.method, timeout=STREAM_TIMEOUT_S, **options
            ) as response:
                if response.status_code != 200:
                    body = await response.aread()
                    self._reader.check_stream(response.status_code, body)
                async for piece in response.aiter_bytes():
                    yield piece
        except httpx2.RequestError as error:
            raise make_unreachable(self._server_url, describe_error(error)) from error


def _open_client(address: ServerUrl) -> httpx2.AsyncClient:
    try:
        return httpx2.AsyncClient(**make_client_options(address))
    except (ImportError, ValueError, httpx2.InvalidURL) as error:
        raise make_unreachable(address, str(error).rstrip(".")) from error
