"""An HTTP server that takes what Apprise's `json://` and webhooks send."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Generator
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.support.servers.http_stand_in import HttpStandIn, QuietHandler


class AlertReceiver(HttpStandIn):
    """What was received, in order; `on_message` runs before the answer."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.webhook_ids: list[str] = []
        self.heartbeats = 0
        self.on_message: Callable[[dict[str, Any]], object] = lambda _: None
        self.status = 200
        super().__init__(self._make_handler())

    def _make_handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(QuietHandler):
            def do_POST(self) -> None:
                size = int(self.headers["content-length"])
                receiver.receive(json.loads(self.rfile.read(size)), self)

            def do_GET(self) -> None:
                receiver.heartbeats += 1
                self.send_response(200)
                self.end_headers()

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


@contextlib.contextmanager
def receiving_alerts() -> Generator[AlertReceiver]:
    """Run a receiver while the block runs."""
    with AlertReceiver() as receiver:
        yield receiver
