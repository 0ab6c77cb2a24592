"""WebSocket connection with asyncio; separates fatal errors from retryable ones."""

from __future__ import annotations

import asyncio

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, NegotiationError

from herald_client.connection.error_messages import describe_error
from herald_client.connection.handshake import (
    CONNECT_ERRORS,
    explain_close,
    explain_handshake,
    explain_protocol,
    make_connect_options,
)
from herald_client.connection.protocol import ConnectionLost
from herald_client.connection.url import ServerUrl


class WebSocketConnection:
    """One connection. Methods raise `ConnectionLost` if reconnecting may help."""

    def __init__(self, address: ServerUrl) -> None:
        self._server_url = address
        self._socket: ClientConnection | None = None

    @property
    def is_open(self) -> bool:
        """Whether it is connected."""
        return self._socket is not None

    async def connect(self, greeting: str, headers: list[tuple[str, str]]) -> None:
        """Connect and send `greeting`. Raises `AccessRefused`, `ServerProblem`."""
        try:
            self._socket = await connect(
                **make_connect_options(self._server_url, headers)
            )
            await self._socket.send(greeting)
        except InvalidStatus as error:
            raise explain_handshake(self._server_url, error) from error
        except NegotiationError as error:
            raise explain_protocol(self._server_url) from error
        except ConnectionClosed as error:
            raise explain_close(self._server_url, error) from error
        except CONNECT_ERRORS as error:
            raise ConnectionLost(describe_error(error)) from error

    async def receive(self, timeout: float | None = None) -> str | bytes | None:  # noqa: ASYNC109
        """Return the next frame; None after `timeout` s. Raises `AccessRefused`."""
        assert self._socket is not None
        try:
            async with asyncio.timeout(timeout):
                return await self._socket.recv()
        except TimeoutError:
            return None
        except ConnectionClosed as error:
            raise explain_close(self._server_url, error) from error

    async def send(self, frame: str) -> None:
        """Send a frame. Raises `AccessRefused`."""
        assert self._socket is not None
        try:
            await self._socket.send(frame)
        except ConnectionClosed as error:
            raise explain_close(self._server_url, error) from error

    async def close(self) -> None:
        """Close the connection, if there is one, within about a second."""
        socket, self._socket = self._socket, None
        if socket is not None:
            await socket.close()
