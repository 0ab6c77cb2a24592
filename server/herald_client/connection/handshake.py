"""What both WebSocket clients share: options, frames, and what an end means. No I/O."""

from __future__ import annotations

from typing import Any

import msgspec
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidProxy,
    InvalidStatus,
    InvalidURI,
)
from websockets.typing import Subprotocol

from herald_client.connection.error_messages import make_problem, make_refused
from herald_client.connection.protocol import ConnectionLost
from herald_client.connection.url import ServerUrl

PROTOCOL = Subprotocol("herald.v1")
NO_TOKEN_PROTOCOL = Subprotocol("bearer.")

FIRST_FATAL_CLOSE_CODE = 4400
"""Close codes from this one on mean that reconnecting alone does not help."""

BAD_PROTOCOL = 4406
CLOSE_TIMEOUT_S = 1.0

PING_INTERVAL_S, PONG_TIMEOUT_S = 5.0, 10.0
"""Seconds: a connection that died unsaid is noticed after their sum at most."""

HTTP_TOO_MANY_REQUESTS = 429

CONNECT_ERRORS = (
    *(OSError, InvalidHandshake, InvalidURI),
    # A proxy from the environment: an invalid one, or SOCKS without its package.
    *(InvalidProxy, ImportError),
)


def make_connect_options(
    address: ServerUrl, headers: list[tuple[str, str]]
) -> dict[str, Any]:
    """Return the keyword arguments of `connect` of both WebSocket clients."""
    return {
        "uri": address.websocket_url,
        # Without a token an empty one is sent: otherwise the server waits for it.
        "subprotocols": [PROTOCOL] if headers else [PROTOCOL, NO_TOKEN_PROTOCOL],
        "additional_headers": headers,
        "compression": None,
        "proxy": None if address.is_local else True,
        "close_timeout": CLOSE_TIMEOUT_S,
        "ping_interval": PING_INTERVAL_S,
        "ping_timeout": PONG_TIMEOUT_S,
        # The server limits a frame by the number of tasks, not by bytes.
        "max_size": None,
    }


def make_auth_frame(token: str) -> str:
    """Return the frame that gives a connection another token."""
    return msgspec.json.encode({"type": "auth", "token": token}).decode()


def explain_handshake(address: ServerUrl, error: InvalidStatus) -> Exception:
    """Return the error for a handshake that the server refused."""
    response = error.response
    status = response.status_code
    if status >= 500 or status == HTTP_TOO_MANY_REQUESTS:
        return ConnectionLost(f"it answers {status}")
    return make_problem(address, status, bytes(response.body or b""))


def explain_close(address: ServerUrl, error: ConnectionClosed) -> Exception:
    """Return the error for a connection that was closed."""
    code = error.rcvd.code if error.rcvd else 1006
    reason = error.rcvd.reason if error.rcvd else ""
    if code >= FIRST_FATAL_CLOSE_CODE:
        return make_refused(address, code, reason)
    return ConnectionLost(reason or "the connection broke")


def explain_protocol(address: ServerUrl) -> Exception:
    """Return the error for a server that speaks another protocol."""
    return make_refused(address, BAD_PROTOCOL, f"it does not speak {PROTOCOL}")
