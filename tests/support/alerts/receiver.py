"""An HTTP server that takes what Apprise's `json://` and webhooks send."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class AlertReceiver:
    """What was received, in order; `on_message` runs before the answer."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.webhook_ids: list[str] = []
        self.heartbeats = 0
        self.on_message: Callable[[dict[str, Any]], object] = lambda _: None
        self.status = 200
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._make_handler())
        self._thread = threading.Thread(target=self._server.serve_forever)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.server_address[1])

    def _make_handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                size = int(self.headers["content-length"])
                receiver.receive(json.loads(self.rfile.read(size)), self)

            def do_GET(self) -> None:
                receiver.heartbeats += 1
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler

    def receive(self, body: dict[str, Any], request: BaseHTTPRequestHandler) -> None:
        """Keep a message, and answer it."""
        webhook_id = request.headers.get("webhook-id")
        if webhook_id is not None:
            self.webhook_ids.append(webhook_id)
        self.messages.append(body)
        self.on_message(body)
        with contextlib.suppress(OSError):
            request.send_response(self.status)
            request.end_headers()

    def __enter__(self) -> AlertReceiver:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextlib.contextmanager
def receiving_alerts() -> Generator[AlertReceiver]:
    """Run a receiver while the block runs."""
    with AlertReceiver() as receiver:
        yield receiver
