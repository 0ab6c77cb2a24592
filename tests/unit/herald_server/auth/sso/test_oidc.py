"""What an ID token must be like, and what is never accepted."""

from __future__ import annotations

import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt import algorithms

from herald_core.model.codec import to_json
from herald_server.auth.sso.oidc import (
    LoginFailed,
    OidcProvider,
    ProviderMetadata,
    make_challenge,
)
from herald_server.auth.sso.settings import OidcSettings
from herald_server.auth.tokens.jwks import KeySet, parse_keys

pytestmark = pytest.mark.anyio

ISSUER = "https://login.example.org"
SETTINGS = OidcSettings(issuer=ISSUER, client_id="herald", client_secret="s" * 32)
RSA = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
KEYS: dict[str, Any] = {
    "RS256": RSA,
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}
ALGORITHMS: dict[str, Any] = {
    "RS256": algorithms.RSAAlgorithm,
    "ES256": algorithms.ECAlgorithm,
    "EdDSA": algorithms.OKPAlgorithm,
}


def make_provider() -> OidcProvider:
    """Return a provider whose metadata and keys are known."""
    provider = OidcProvider(SETTINGS)
    listed = []
    for name, key in KEYS.items():
        public: Any = ALGORITHMS[name].to_jwk(key.public_key(), as_dict=True)
        listed.append({**public, "kid": name, "alg": name, "use": "sig"})
    keys = KeySet("https://login.example.org/keys")
    keys._keys = parse_keys(to_json({"keys": listed}).decode())  # pyright: ignore[reportPrivateUsage]
    keys._asked_at = time.monotonic()  # pyright: ignore[reportPrivateUsage]
    place = f"{ISSUER}/x"
    provider._keys = keys  # pyright: ignore[reportPrivateUsage]
    provider._metadata = ProviderMetadata(ISSUER, place, place, place)  # pyright: ignore[reportPrivateUsage]
    provider._read_at = time.monotonic()  # pyright: ignore[reportPrivateUsage]
    return provider


def sign(key: Any, algorithm: str, kid: str = "", **claims: object) -> str:
    now = time.time()
    whole = {
        "iss": ISSUER, "aud": "herald", "sub": "ann", "iat": now, "exp": now + 60,
        **claims,
    }  # fmt: skip
    return jwt.encode(whole, key, algorithm, headers={"kid": kid or algorithm})


async def verify(token: str) -> dict[str, Any]:
    return await make_provider()._verify(token)  # pyright: ignore[reportPrivateUsage]


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


async def test_a_person_is_who_the_tokens_are_about() -> None:
    token = sign(RSA, "RS256", sub="ann", groups=["sre"])
    person = await make_provider().identify({"id_token": token, "token_type": "Bearer"})
    assert (person.name, person.groups) == ("ann", ("sre",))
    with pytest.raises(LoginFailed, match="says no sub of you"):
        await make_provider().identify({"id_token": "", "access_token": "x"})


def test_the_challenge_is_that_of_the_standard() -> None:
    # RFC 7636, appendix B.
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert make_challenge(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
