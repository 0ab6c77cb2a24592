"""A WebSocket to a Herald; tells what to mend from what to try again."""

from __future__ import annotations

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidStatus,
    InvalidURI,
    NegotiationError,
)
from websockets.typing import Subprotocol

from herald_server.client.address import Address
from herald_server.client.sentences import problem, refused, why
from herald_server.client.story import Cut

PROTOCOL = Subprotocol("herald.v1")
NO_TOKEN = Subprotocol("bearer.")

MEND = 4400
"""Close codes from here on say that reconnecting alone will not help."""

CLOSE_WITHIN = 1.0

PING_EVERY, PONG_WITHIN = 5.0, 10.0
"""Seconds: a connection that died unsaid is noticed after their sum at most."""

TOO_MANY_REQUESTS = 429


class Line:
    """One connection. Every method raises `Cut` when another one may do better."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._socket: ClientConnection | None = None

    @property
    def open(self) -> bool:
        """Whether there is a connection."""
        return self._socket is not None

    async def dial(self, greeting: str) -> None:
        """Connect and send `greeting`. Raises `Refused`, `ServerProblem`."""
        try:
            self._socket = await _connected(self._address)
            await self._socket.send(greeting)
        except InvalidStatus as error:
            raise self._turned_away(error) from error
        except NegotiationError as error:
            raise refused(
                self._address, 4406, f"it does not speak {PROTOCOL}"
            ) from error
        except ConnectionClosed as error:
            raise self._ended(error) from error
        except (OSError, InvalidHandshake, InvalidURI) as error:
            raise Cut(why(error)) from error

    async def hear(self) -> str | bytes:
        """Return the next frame. Raises `Refused`."""
        assert self._socket is not None
        try:
            return await self._socket.recv()
        except ConnectionClosed as error:
            raise self._ended(error) from error

    async def hang_up(self) -> None:
        """Close the connection, if there is one, within a second or so."""
        socket, self._socket = self._socket, None
        if socket is not None:
            await socket.close()

    def _turned_away(self, error: InvalidStatus) -> Exception:
        response = error.response
        status = response.status_code
        if status >= 500 or status == TOO_MANY_REQUESTS:
            return Cut(f"it answers {status}")
        return problem(self._address, status, bytes(response.body or b""))

    def _ended(self, error: ConnectionClosed) -> Exception:
        code = error.rcvd.code if error.rcvd else 1006
        reason = error.rcvd.reason if error.rcvd else ""
        if code >= MEND:
            return refused(self._address, code, reason)
        return Cut(reason or "the connection broke")


async def _connected(address: Address) -> ClientConnection:
    return await connect(
        address.channel,
        # Without a token the empty one: else the server waits for it to be sent.
        subprotocols=[PROTOCOL] if address.token else [PROTOCOL, NO_TOKEN],
        additional_headers=address.headers,
        compression=None,
        proxy=None,
        close_timeout=CLOSE_WITHIN,
        ping_interval=PING_EVERY,
        ping_timeout=PONG_WITHIN,
        # The server bounds what it sends by number of tasks, not by bytes.
        max_size=None,
    )
