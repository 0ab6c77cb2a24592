"""WebSocket connection to a server; separates fatal errors from retryable ones."""

from __future__ import annotations

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidProxy,
    InvalidStatus,
    InvalidURI,
    NegotiationError,
)
from websockets.typing import Subprotocol

from herald_client.connection.error_messages import (
    describe_error,
    make_problem,
    make_refused,
)
from herald_client.connection.protocol import ConnectionLost
from herald_client.connection.url import ServerUrl

PROTOCOL = Subprotocol("herald.v1")
NO_TOKEN_PROTOCOL = Subprotocol("bearer.")

FIRST_FATAL_CLOSE_CODE = 4400
"""Close codes from this one on mean that reconnecting alone does not help."""

CLOSE_TIMEOUT_S = 1.0

PING_INTERVAL_S, PONG_TIMEOUT_S = 5.0, 10.0
"""Seconds: a connection that died unsaid is noticed after their sum at most."""

HTTP_TOO_MANY_REQUESTS = 429

_NO_CONNECTION = (
    *(OSError, InvalidHandshake, InvalidURI),
    # A proxy from the environment: an invalid one, or SOCKS without its package.
    *(InvalidProxy, ImportError),
)


class WebSocketConnection:
    """One connection. Methods raise `ConnectionLost` if reconnecting may help."""

    def __init__(self, address: ServerUrl) -> None:
        self._server_url = address
        self._socket: ClientConnection | None = None

    @property
    def is_open(self) -> bool:
        """Whether it is connected."""
        return self._socket is not None

    async def connect(self, greeting: str) -> None:
        """Connect and send `greeting`. Raises `AccessRefused`, `ServerProblem`."""
        try:
            self._socket = await _connect(self._server_url)
            await self._socket.send(greeting)
        except InvalidStatus as error:
            raise self._explain_handshake(error) from error
        except NegotiationError as error:
            raise make_refused(
                self._server_url, 4406, f"it does not speak {PROTOCOL}"
            ) from error
        except ConnectionClosed as error:
            raise self._explain_close(error) from error
        except _NO_CONNECTION as error:
            raise ConnectionLost(describe_error(error)) from error

    async def receive(self) -> str | bytes:
        """Return the next frame. Raises `AccessRefused`."""
        assert self._socket is not None
        try:
            return await self._socket.recv()
        except ConnectionClosed as error:
            raise self._explain_close(error) from error

    async def close(self) -> None:
        """Close the connection, if there is one, within about a second."""
        socket, self._socket = self._socket, None
        if socket is not None:
            await socket.close()

    def _explain_handshake(self, error: InvalidStatus) -> Exception:
        response = error.response
        status = response.status_code
        if status >= 500 or status == HTTP_TOO_MANY_REQUESTS:
            return ConnectionLost(f"it answers {status}")
        return make_problem(self._server_url, status, bytes(response.body or b""))

    def _explain_close(self, error: ConnectionClosed) -> Exception:
        code = error.rcvd.code if error.rcvd else 1006
        reason = error.rcvd.reason if error.rcvd else ""
        if code >= FIRST_FATAL_CLOSE_CODE:
            return make_refused(self._server_url, code, reason)
        return ConnectionLost(reason or "the connection broke")


async def _connect(address: ServerUrl) -> ClientConnection:
    return await connect(
        address.websocket_url,
        # Without a token an empty one is sent: otherwise the server waits for it.
        subprotocols=[PROTOCOL] if address.token else [PROTOCOL, NO_TOKEN_PROTOCOL],
        additional_headers=address.headers,
        compression=None,
        proxy=None if address.is_local else True,
        close_timeout=CLOSE_TIMEOUT_S,
        ping_interval=PING_INTERVAL_S,
        ping_timeout=PONG_TIMEOUT_S,
        # The server limits a frame by the number of tasks, not by bytes.
        max_size=None,
    )
