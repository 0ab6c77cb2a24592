"""Tokens about which the issuer is asked."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from herald_server.auth.identity import Identity
from herald_server.auth.tokens import introspection
from herald_server.auth.tokens.claims import BadToken
from herald_server.auth.tokens.external_jwt import UNCHECKED_S, ExternalJwtVerifier
from herald_server.auth.tokens.introspection import Introspector, IssuerUnavailable

pytestmark = pytest.mark.anyio

NOW = 1_000.0
TOLD = {"active": True, "sub": "ann", "aud": "herald", "scope": "read", "exp": 2_000}

Post = Callable[[Introspector, str], Awaitable[bytes]]


class Answering:
    """Stands for the connection to an issuer."""

    def __init__(self, told: Any) -> None:
        self.told = told
        self.asked: list[str] = []

    async def post(self, token: str) -> bytes:
        """Answer as the issuer does."""
        self.asked.append(token)
        return (
            self.told
            if isinstance(self.told, bytes)
            else json.dumps(self.told).encode()
        )


def make_introspector(
    monkeypatch: pytest.MonkeyPatch, told: Any
) -> tuple[Introspector, Answering]:
    """Return an introspector, and what answers it."""
    made = Introspector("https://issuer/introspect", "herald", "secret")
    issuer = Answering(told)
    monkeypatch.setattr(made, "_post", issuer.post)
    return made, issuer


async def identify(monkeypatch: pytest.MonkeyPatch, told: Any) -> Identity:
    """Return the identity of a token that the issuer describes as `told`."""
    asks, _ = make_introspector(monkeypatch, told)
    verifier = ExternalJwtVerifier(
        issuer="https://issuer", audiences=["herald"], introspector=asks
    )
    return await verifier.verify_opaque("opaque", NOW, 0.0)


async def test_the_issuer_tells_the_rights(monkeypatch: pytest.MonkeyPatch) -> None:
    who = await identify(monkeypatch, {**TOLD, "aud": ["x", "herald"], "jti": "j"})
    assert (who.name, who.id) == ("jwt:ann", "jwt:j")
    assert who.scopes == {"read"}
    assert who.expires == 2_000


async def test_an_end_that_is_not_told_is_an_hour_ahead(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = {key: value for key, value in TOLD.items() if key != "exp"}
    who = await identify(monkeypatch, told)
    assert who.expires == NOW + UNCHECKED_S


@pytest.mark.parametrize("named", ["username", "client_id"])
async def test_another_claim_may_name_the_holder(
    named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = {key: value for key, value in TOLD.items() if key != "sub"}
    assert (await identify(monkeypatch, {**told, named: "bob"})).name == "jwt:bob"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"active": False}, "not active"),
        ({"active": "true"}, "not active"),
        ({"aud": "other"}, "request one for herald"),
        ({"aud": None}, "request one for herald"),
        ({"iss": "https://evil"}, "another issuer"),
        ({"exp": 999}, "expired"),
        ({"sub": None}, "not valid"),
    ],
)
async def test_what_the_issuer_does_not_confirm_is_refused(
    change: dict[str, Any], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BadToken, match=sentence):
        await identify(monkeypatch, {**TOLD, **change})


async def test_an_answer_is_used_again_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asks, issuer = make_introspector(monkeypatch, TOLD)
    for now in (0.0, introspection.CACHE_TTL_S - 1):
        await asks.read_claims("a", now)
    assert issuer.asked == ["a"]
    await asks.read_claims("a", introspection.CACHE_TTL_S)
    assert issuer.asked == ["a", "a"]


async def test_few_answers_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(introspection, "MAX_CACHED", 2)
    asks, issuer = make_introspector(monkeypatch, TOLD)
    for token in ("a", "b", "c", "b", "a"):
        await asks.read_claims(token, 0.0)
    assert issuer.asked == ["a", "b", "c", "a"]


@pytest.mark.parametrize("told", [b"<html>", b"[]", b"\xff"])
async def test_what_is_no_answer_is_an_issuer_that_is_away(
    told: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    asks, _ = make_introspector(monkeypatch, told)
    with pytest.raises(IssuerUnavailable):
        await asks.read_claims("a", 0.0)
