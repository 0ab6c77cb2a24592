"""The addresses to which a user may be sent back."""

import pytest

from herald_core.errors import InvalidInput
from herald_server.auth.sso.redirects import EXAMPLE, parse_redirects


def test_addresses_of_clients_are_taken() -> None:
    given = [EXAMPLE, "cursor://anysphere.cursor-mcp/*", "http://127.0.0.1:5000/"]
    assert parse_redirects(given) == tuple(given)
    assert parse_redirects([]) == ()


@pytest.mark.parametrize(
    "wrong",
    [
        "*",
        "https://*.example.org/callback",
        "https://",
        "http://agents.example/callback",
        "javascript:alert(1)",
        "agents.example/callback",
        "",
        1,
    ],
)
def test_what_anybody_may_own_is_refused(wrong: object) -> None:
    with pytest.raises(InvalidInput, match="must be a list of addresses such as"):
        parse_redirects([wrong])


def test_it_is_a_list() -> None:
    with pytest.raises(InvalidInput):
        parse_redirects(1)
