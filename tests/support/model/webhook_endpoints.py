"""Endpoints of webhooks, as they are registered."""

from __future__ import annotations

from typing import Any

from herald_server.webhooks.endpoint import WebhookEndpoint, parse_endpoint

URL = "https://example.org/hook"


NOW = 1_795_000_000.0


def asked(**given_: Any) -> WebhookEndpoint:
    return parse_endpoint({"url": URL, **given_}, "2026-01-01T00:00:00.000Z")
