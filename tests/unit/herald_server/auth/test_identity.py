"""Tokens, hosts and origins."""

import base64

import pytest

from herald_server.auth.identity import (
    SCOPES,
    AllowedOrigins,
    Identity,
    StaticTokens,
    make_token,
    parse_bearer,
    parse_protocol_token,
)


def test_a_token_opens_only_as_it_was_given() -> None:
    who = Identity("ann", frozenset(["read"]))
    tokens = StaticTokens({"secret-one": who, "secret-two": Identity("bob")})
    assert tokens.find_identity("secret-one") is who
    bob = tokens.find_identity("secret-two")
    assert bob is not None
    assert bob.name == "bob"
    wrong = [None, "", "secret", "secret-one ", "SECRET-ONE", "\udcff"]
    assert not any(tokens.find_identity(w) for w in wrong)
    assert "secret" not in repr(vars(tokens))


def test_scopes_are_what_was_given_and_all_by_default() -> None:
    assert Identity("a", frozenset(["read"])).has_scope("read")
    assert not Identity("a", frozenset(["read"])).has_scope("start")
    assert all(Identity("a").has_scope(scope) for scope in SCOPES)


def test_new_tokens_differ_and_fit_a_header() -> None:
    made = {make_token() for _ in range(50)}
    assert len(made) == 50
    assert all(len(t) == 32 and t.isascii() and t.strip() == t for t in made)


@pytest.mark.parametrize(
    ("header", "token"),
    [
        ("Bearer abc", "abc"),
        ("bearer  abc ", "abc"),
        ("BEARER abc", "abc"),
        ("Bearer ", None),
        ("Bearer", None),
        ("Basic abc", None),
        ("abc", None),
        ("", None),
        (None, None),
    ],
)
def test_the_header(header: str | None, token: str | None) -> None:
    assert parse_bearer(header) == token


def _coded(token: str) -> str:
    return base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    ("protocols", "token"),
    [
        (["herald.v1", "bearer." + _coded("tökén-~?")], "tökén-~?"),
        (["bearer." + _coded("ab"), "herald.v1"], "ab"),
        (["herald.v1"], None),
        ([], None),
        (["bearer.x"], None),
        (["bearer." + base64.urlsafe_b64encode(b"\xff\xff").decode()], None),
        (["bearer.ä"], None),
    ],
)
def test_the_subprotocol(protocols: list[str], token: str | None) -> None:
    assert parse_protocol_token(protocols) == token


@pytest.mark.parametrize(
    ("host", "fits"),
    [
        ("127.0.0.1", True),
        ("127.0.0.1:8787", True),
        ("localhost:1", True),
        ("LocalHost", True),
        ("[::1]:8787", True),
        ("[::1]", True),
        ("herald.example", True),
        ("HERALD.example:443", True),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("[::2]:1", True),
        ("10.1.2.3:8787", True),
        ("10.1.2.3.evil.example", False),
        ("10.1.2", False),
        ("[fe80::1%25eth0]:80", True),
        ("localhost:x@evil.example", False),
        ("localhost:80/evil", False),
        ("localhost:80?x", False),
        ("[::1]evil.example", False),
        ("[::1]:80@evil.example", False),
        ("localhost, evil.example", False),
        ("", False),
        (None, False),
    ],
)
def test_only_our_own_host_names_are_served(host: str | None, fits: bool) -> None:
    assert AllowedOrigins(["Herald.Example"]).is_host_allowed(host) is fits


def test_any_host_may_be_served() -> None:
    assert AllowedOrigins(["*"]).is_host_allowed("whatever.example")


@pytest.mark.parametrize(
    ("origin", "host", "fits"),
    [
        (None, "localhost:1", True),
        ("http://localhost:1", "localhost:1", True),
        ("https://LOCALHOST:1", "localhost:1", True),
        ("http://localhost:2", "localhost:1", False),
        ("http://evil.example", "localhost:1", False),
        ("null", "localhost:1", False),
        ("null", "", False),
        ("", None, False),
        ("https://app.example", "localhost:1", True),
        ("https://app.example.evil", "localhost:1", False),
        ("http://app.example", "localhost:1", False),
        ("http://[::1", "localhost:1", False),
        ("http://localhost:1/path", "localhost:1", False),
        ("chrome-extension://localhost:1", "localhost:1", False),
        ("http://localhost:1@evil.example", "localhost:1", False),
    ],
)
def test_only_our_own_pages_and_allowed_ones_may_talk(
    origin: str | None, host: str | None, fits: bool
) -> None:
    around = AllowedOrigins([], ["https://App.example/"])
    assert around.is_origin_allowed(origin, host) is fits


def test_pages_of_anywhere_may_be_allowed() -> None:
    assert AllowedOrigins([], ["*"]).is_origin_allowed("https://x.example", "localhost")


def test_an_issuer_gives_what_it_can() -> None:
    read = frozenset(["read"])
    assert Identity("ann", read).potential_scopes == read
    assert Identity("jwt:ann", read).potential_scopes == set(SCOPES)
    who = Identity("oauth:ann", read, obtainable=frozenset(["read", "admin"]))
    assert who.potential_scopes == {"read", "admin"}
    assert Identity("oauth:ann/a", read).potential_scopes == read
