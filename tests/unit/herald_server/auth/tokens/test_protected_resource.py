"""What clients learn of the issuer, and how a refusal names it."""

import pytest

from herald_server.auth.tokens.protected_resource import (
    ProtectedResource,
    format_challenge,
)


def test_scopes_are_written_as_the_issuer_names_them() -> None:
    plain = ProtectedResource("https://issuer", ("read", "openid"))
    prefixed = ProtectedResource("https://issuer", ("herald:read",))
    assert plain.write_scopes(["admin"]) == ["admin"]
    assert prefixed.write_scopes(["admin"]) == ["herald:admin"]
    assert plain.describe("https://here")["scopes_supported"][-1] == "openid"


def test_audiences_are_the_server_and_its_endpoint() -> None:
    made = ProtectedResource("https://issuer", (), "https://here/herald")
    assert made.list_audiences() == [
        *("https://here/herald", "https://here/herald/"),
        *("https://here/herald/mcp", "https://here/herald/mcp/"),
    ]
    assert ProtectedResource("https://issuer", ()).list_audiences() == []


@pytest.mark.parametrize(
    ("text", "written"),
    [('say "x"', "say 'x'"), ("a\\b", "a/b"), ("a\r\nb", "a??b"), ("ä", "?")],
)
def test_a_challenge_has_no_character_that_ends_it(text: str, written: str) -> None:
    made = format_challenge(error_description=text, scope="")
    assert made == f'Bearer realm="herald", error_description="{written}"'
