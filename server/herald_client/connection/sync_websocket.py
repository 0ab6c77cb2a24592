"""WebSocket connection for threads; separates fatal errors from retryable ones."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from websockets.exceptions import ConnectionClosed, InvalidStatus, NegotiationError
from websockets.sync.client import ClientConnection, connect

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


class SyncWebSocketConnection:
    """One connection. Methods raise `ConnectionLost` if reconnecting may help."""

    def __init__(self, address: ServerUrl) -> None:
        self._server_url = address
        self._socket: ClientConnection | None = None
        self._exits = ExitStack()

    @property
    def is_open(self) -> bool:
        """Whether it is connected."""
        return self._socket is not None

    def connect(self, greeting: str, headers: list[tuple[str, str]]) -> None:
        """Connect and send `greeting`. Raises `AccessRefused`, `ServerProblem`."""
        try:
            # Some versions of the library return the connection, others what enters it.
            open_: Any = connect
            manager = open_(**make_connect_options(self._server_url, headers))
            socket: ClientConnection = self._exits.enter_context(manager)
            self._socket = socket
            socket.send(greeting)
        except InvalidStatus as error:
            raise explain_handshake(self._server_url, error) from error
        except NegotiationError as error:
            raise explain_protocol(self._server_url) from error
        except ConnectionClosed as error:
            raise explain_close(self._server_url, error) from error
        except CONNECT_ERRORS as error:
            raise ConnectionLost(describe_error(error)) from error

    def receive(self, timeout: float | None = None) -> str | bytes | None:
        """Return the next frame; None after `timeout` s. Raises `AccessRefused`."""
        socket = self._socket
        if socket is None:  # closed by another thread
            raise ConnectionLost("the watch was closed")
        try:
            return socket.recv(timeout)
        except TimeoutError:
            return None
        except ConnectionClosed as error:
            raise explain_close(self._server_url, error) from error

    def send(self, frame: str) -> None:
        """Send a frame. Raises `AccessRefused`."""
        socket = self._socket
        if socket is None:
            raise ConnectionLost("the watch was closed")
        try:
            socket.send(frame)
        except ConnectionClosed as error:
            raise explain_close(self._server_url, error) from error

    def close(self) -> None:
        """Close the connection, if there is one, within about a second."""
        socket, self._socket = self._socket, None
        if socket is not None:
            self._exits.close()
