"""Slack's address for incoming webhooks, behind a proxy on this machine.

Apprise sends to `https://hooks.slack.com`. `HTTPS_PROXY` leads it here, and
`REQUESTS_CA_BUNDLE` has it trust the certificate: the sender is the real one.
"""

from __future__ import annotations

import json
import ssl
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import trustme

from tests.support.servers.http_stand_in import HttpStandIn, QuietHandler

SLACK_HOST = "hooks.slack.com"


class SlackProxy(HttpStandIn):
    """Takes what is sent to Slack: `messages` are paths and bodies, in order."""

    def __init__(self, place: Path) -> None:
        self.messages: list[tuple[str, dict[str, Any]]] = []
        authority = trustme.CA()
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(SLACK_HOST).configure_cert(self._context)
        self._bundle = place / "authority.pem"
        authority.cert_pem.write_to_path(str(self._bundle))
        super().__init__(self._make_handler())

    @property
    def env(self) -> dict[str, str]:
        """The variables that lead a process here."""
        return {
            "HTTPS_PROXY": f"http://127.0.0.1:{self.port}",
            "NO_PROXY": "127.0.0.1,localhost",
            "REQUESTS_CA_BUNDLE": str(self._bundle),
        }

    def _make_handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(QuietHandler):
            def do_CONNECT(self) -> None:
                if self.path != f"{SLACK_HOST}:443":
                    self.send_error(403)
                    return
                self.send_response(200)
                self.end_headers()
                context = proxy._context
                with context.wrap_socket(self.connection, server_side=True) as inner:
                    Tunnelled(inner, self.client_address, self.server)
                self.close_connection = True

        class Tunnelled(Handler):
            def do_POST(self) -> None:
                size = int(self.headers["content-length"])
                proxy.messages.append((self.path, json.loads(self.rfile.read(size))))
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

        return Handler
