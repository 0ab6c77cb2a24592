"""Which requests may use what a browser sends by itself."""

from typing import Any

import pytest

from herald_server.auth.sso.ambient import is_own_request

HOST = {"host": "herald.example"}
OWN = {**HOST, "origin": "https://herald.example"}
FOREIGN = {**HOST, "origin": "https://evil.example"}
MARK = {"x-herald-request": "1"}


@pytest.mark.parametrize(
    ("scope", "headers", "may"),
    [
        ({"type": "http", "method": "GET"}, HOST, True),
        ({"type": "http", "method": "GET"}, OWN, True),
        ({"type": "http", "method": "GET"}, FOREIGN, False),
        ({"type": "http", "method": "POST"}, HOST, False),
        ({"type": "http", "method": "POST"}, OWN, False),
        ({"type": "http", "method": "POST"}, {**HOST, **MARK}, True),
        ({"type": "http", "method": "POST"}, {**OWN, **MARK}, True),
        ({"type": "http", "method": "DELETE"}, {**FOREIGN, **MARK}, False),
        ({"type": "websocket"}, OWN, True),
        ({"type": "websocket"}, HOST, False),
        ({"type": "websocket"}, {**FOREIGN, **MARK}, False),
        ({"type": "websocket"}, {**HOST, "origin": "null"}, False),
    ],
)
def test_only_our_own_pages_may(
    scope: dict[str, Any], headers: dict[str, str], may: bool
) -> None:
    assert is_own_request(scope, headers) is may
