"""Uvicorn's WebSocket, with a way to end a connection whose client reads nothing."""

from __future__ import annotations

from typing import Any, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import (
    WebSocketsSansIOProtocol,
)

from herald_server.pump import CUT

LINGER = 5.0
"""Seconds in which a client may still read why it was cut off."""


class CuttableProtocol(WebSocketsSansIOProtocol):
    """A connection that the application can cut off.

    Closing it the usual way waits until all that was sent is taken, for ever if
    need be, and keeps all that in memory.
    """

    async def run_asgi(self) -> None:
        """Serve the connection; the application finds `cut` among its extensions."""
        scope = cast(dict[str, Any], self.scope)
        scope["extensions"][CUT] = {"cut": self.cut}
        await super().run_asgi()

    def cut(self, code: int, reason: str) -> None:
        """End the connection with `code`; let go of it a moment later in any case."""
        if not self.close_sent and not self.transport.is_closing():
            self.conn.send_close(code, reason)
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.close_sent = True
        self.stop_keepalive()
        self.loop.call_later(LINGER, self.transport.abort)
