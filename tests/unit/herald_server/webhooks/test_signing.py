"""Signatures of webhooks."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from standardwebhooks import Webhook

from herald_server.webhooks.signing import sign_headers
from tests.support.model.webhook_endpoints import NOW, asked


def test_what_is_signed_with_two_secrets_verifies_with_either() -> None:
    first = asked()
    both = first.rotate_secret(60, NOW)
    body = json.dumps({"ö": 1}).encode()
    now = datetime.now(UTC).timestamp()
    headers = sign_headers("msg-1", now, body, both.list_signing_secrets(NOW + 59))
    for endpoint in (first, both):
        Webhook(endpoint.secrets[0].text).verify(body, headers)
    assert len(both.list_signing_secrets(NOW + 61)) == 1
    assert (
        len(first.rotate_secret(9, 1).rotate_secret(9, 1).rotate_secret(9, 1).secrets)
        == 3
    )
