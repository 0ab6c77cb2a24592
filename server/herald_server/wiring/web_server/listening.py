"""The socket that a server listens on, and its address."""

from __future__ import annotations

import socket

from herald_core.errors import HeraldError

FREE_PORT_HINT = " (0 takes a free port)"


class AddressInUse(HeraldError):
    """The address to listen on is not available."""


def listen(
    host: str, port: int, shared: bool = False, option: str = "--port"
) -> socket.socket:
    """Return a bound socket; if `shared`, other processes of Herald may bind it too.

    `option` sets the port. Raises `AddressInUse`.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Without its protocol named, asyncio leaves Nagle on: 40 ms a small answer.
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        # The kernel distributes connections over all listening sockets.
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        made.bind((host, port))
        if not shared:
            # Until a socket listens, other processes can bind the same port.
            made.listen()
    except (OSError, UnicodeError) as error:
        made.close()
        why = getattr(error, "strerror", None) or str(error)
        raise AddressInUse(
            f"cannot listen on {host} port {port}: {why.lower()}; give another "
            f"--host or {option}{FREE_PORT_HINT if option == '--port' else ''}"
        ) from error
    made.set_inheritable(True)
    return made


def format_url(bound: socket.socket, secure: bool = False) -> str:
    """Return the HTTP URL of a listening socket."""
    host, port = bound.getsockname()[:2]
    scheme = "https" if secure else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}/"
