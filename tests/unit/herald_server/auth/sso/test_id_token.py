"""What an ID token must be like, and what is never accepted."""

from __future__ import annotations

from typing import Any

import pytest

from herald_server.auth.sso.provider_endpoints import LoginFailed
from tests.support.sso.id_tokens import KEYS, RSA, make_verifier, sign

pytestmark = pytest.mark.anyio


async def verify(token: str) -> dict[str, Any]:
    return await make_verifier().verify(token)


@pytest.mark.parametrize("algorithm", sorted(KEYS))
async def test_a_token_of_each_algorithm(algorithm: str) -> None:
    claims = await verify(sign(KEYS[algorithm], algorithm))
    assert claims["sub"] == "ann"


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ({"aud": "other"}, "Audience"),
        ({"iss": "https://evil.example"}, "issuer"),
        ({"exp": 1}, "expired"),
        ({"azp": "other", "aud": ["herald", "other"]}, "of another client"),
    ],
)
async def test_a_token_for_somebody_else(claims: dict[str, Any], said: str) -> None:
    with pytest.raises(LoginFailed, match=f"(?i){said}"):
        await verify(sign(RSA, "RS256", **claims))


async def test_a_shared_secret_or_none_signs_nothing() -> None:
    with pytest.raises(LoginFailed, match="signed by HS256"):
        await verify(sign("s" * 32, "HS256"))
    with pytest.raises(LoginFailed, match="signed by none"):
        await verify(sign(None, "none"))
    with pytest.raises(LoginFailed, match="no valid ID token"):
        await verify("not a token")


async def test_a_key_of_the_provider_is_used_for_its_algorithm_only() -> None:
    with pytest.raises(LoginFailed, match="unknown key"):
        await verify(sign(RSA, "RS256", kid="ES256"))
