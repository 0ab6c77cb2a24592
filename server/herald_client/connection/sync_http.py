"""Sends requests from threads, over connections that are kept open."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
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
from herald_client.connection.token_source import Renew, TokenSource
from herald_client.connection.url import ServerUrl
from herald_client.requests.request import Request

T = TypeVar("T")


class SyncTokens(TokenSource):
    """The token of a client that several threads may use."""

    def __init__(self, token: str, renew: Renew | None) -> None:
        super().__init__(token, time.time(), can_renew=renew is not None)
        self._renew = renew
        self._lock = threading.Lock()

    def refresh(self, *, refused: str | None = None) -> None:
        """Get a new token if it is time, or if `refused` is still the present one.

        Of several threads one asks. Raises what `renew` raises if the server refused
        the present token; before its end the next try follows some seconds later.
        """
        with self._lock:
            if self._renew is None or not self.must_refresh(refused, time.time()):
                return
            try:
                self.replace(self._renew(), time.time())
            except Exception:
                self.delay(time.time())
                if refused is not None:
                    raise


class SyncRequestSender:
    """Sends requests to the server at `address`, as `RequestSender` does."""

    def __init__(
        self,
        address: ServerUrl,
        tokens: SyncTokens,
        notify: Callable[[str], None] | None = None,
    ) -> None:
        self._server_url = address
        self._tokens = tokens
        self._reader = AnswerReader(address, notify)
        self._http = _open_client(address)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def send(self, request: Request[T]) -> T:
        """Send a request and return its decoded answer.

        A refused token is renewed once. Raises `Unreachable`, `AccessRefused`,
        `ServerProblem`.
        """
        self._tokens.refresh()
        response = self._send(request)
        if response.status_code == UNAUTHENTICATED and self._tokens.may_renew_refused:
            self._tokens.refresh(refused=self._tokens.token)
            response = self._send(request)
        if response.status_code != UNAUTHENTICATED:
            self._tokens.accept()
        return self._reader.read(
            request, response.status_code, response.headers, response.content
        )

    def _send(self, request: Request[T]) -> httpx2.Response:
        options = make_request_options(
            self._server_url, request.target, self._tokens.headers, request.content
        )
        timeout = find_timeout(request)
        try:
            return self._http.request(request.method, timeout=timeout, **options)
        except httpx2.RequestError as error:
            raise make_unreachable(self._server_url, describe_error(error)) from error

    def stream(self, request: Request[bytes]) -> Generator[bytes, None, None]:
        """Yield the body of an answer in pieces, as they come."""
        self._tokens.refresh()
        options = make_request_options(
            self._server_url, request.target, self._tokens.headers, request.content
        )
        try:
            with self._http.stream(
                request.method, timeout=STREAM_TIMEOUT_S, **options
            ) as response:
                if response.status_code != 200:
                    self._reader.check_stream(response.status_code, response.read())
                yield from response.iter_bytes()
        except httpx2.RequestError as error:
            raise make_unreachable(self._server_url, describe_error(error)) from error


def _open_client(address: ServerUrl) -> httpx2.Client:
    try:
        return httpx2.Client(**make_client_options(address))
    except (ImportError, ValueError, httpx2.InvalidURL) as error:
        raise make_unreachable(address, str(error).rstrip(".")) from error
