"""The tokens that MCP clients got at this server."""

from typing import Any

import jwt
import pytest

from herald_core.model.filters import Filter
from herald_core.store.memory.store import MemoryStore
from herald_server.auth.identity import StaticTokens
from herald_server.auth.oauth_proxy.tokens import ProxiedTokens
from herald_server.auth.sso.mapping import Person
from herald_server.auth.sso.settings import SsoGroup
from herald_server.auth.tokens.authenticator import Authenticator
from herald_server.auth.tokens.claims import BadToken, Forbidden
from herald_server.auth.tokens.revocation import RevocationList

NOW = 1_700_000_000.0
GROUPS = (
    SsoGroup("sre", frozenset(["read", "cancel", "admin"])),
    SsoGroup("dev", frozenset(["read"]), Filter(name=("reports.*",))),
)
TOKENS = ProxiedTokens(
    "https://herald.test", "a-secret-of-the-tests", GROUPS, ["read", "start"]
)
CLAIMS: dict[str, Any] = {
    "iss": "https://herald.test/",
    "aud": "https://herald.test/mcp",
    "exp": NOW + 60,
    "jti": "j1",
    "scope": "read cancel",
    "upstream_claims": {"name": "ann", "groups": ["sre"]},
}


def sign(key: bytes = TOKENS.key, **claims: object) -> str:
    told = {**CLAIMS, **claims}
    given = {name: value for name, value in told.items() if value is not None}
    return jwt.encode(given, key, "HS256")


def test_it_has_what_was_requested_of_the_group() -> None:
    who = TOKENS.verify(sign(), NOW)
    assert (who.name, who.id, who.expires) == ("oauth:ann", "jwt:j1", NOW + 60)
    assert who.scopes == {"read", "cancel"}
    assert who.potential_scopes == {"read", "cancel", "admin"}
    assert who.task_filter is None


def test_without_a_request_it_has_the_usual_scopes() -> None:
    assert TOKENS.verify(sign(scope=""), NOW).scopes == {"read"}


def test_the_filter_is_that_of_the_group() -> None:
    token = sign(upstream_claims={"name": "bob", "groups": ["sales", "dev"]})
    assert TOKENS.verify(token, NOW).task_filter == Filter(name=("reports.*",))


@pytest.mark.parametrize(
    "wrong",
    [
        {"iss": "https://other.test/"},
        {"aud": "https://herald.test/env/staging/mcp"},
        {"aud": None},
        {"exp": None},
        {"exp": NOW - 1},
        {"exp": float("inf")},
        {"jti": None},
        {"token_use": "refresh"},
        {"upstream_claims": None},
        {"key": b"another key, also of 32 bytes...."},
    ],
)
def test_any_other_token_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadToken) as told:
        TOKENS.verify(sign(**wrong), NOW)
    assert not isinstance(told.value, Forbidden)


def test_who_is_in_no_group_is_told_so() -> None:
    token = sign(upstream_claims={"name": "eve", "groups": []})
    with pytest.raises(Forbidden, match="eve is in none of the groups"):
        TOKENS.verify(token, NOW)


def test_a_token_says_only_the_groups_that_count() -> None:
    person = Person("ann", ("sales", "dev", "sre"))
    assert TOKENS.write_claims(person) == {"name": "ann", "groups": ["sre", "dev"]}


@pytest.mark.anyio
async def test_it_can_be_revoked() -> None:
    revoked = RevocationList(MemoryStore())
    authenticator = Authenticator(StaticTokens({}, {}), revoked=revoked, proxied=TOKENS)
    token = sign(exp=4_000_000_000)
    assert (await authenticator.authenticate(token)).name == "oauth:ann"
    await revoked.add("jwt:j1", 4_000_000_000)
    with pytest.raises(BadToken, match="revoked"):
        await authenticator.authenticate(token)
    with pytest.raises(BadToken):
        await authenticator.authenticate(sign(iss="https://other.test/"))
