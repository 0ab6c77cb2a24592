"""ID tokens of a provider whose keys and endpoints are known."""

from __future__ import annotations

import time
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt import algorithms

from herald_core.model.codec import to_json
from herald_server.auth.sso.id_token import IdTokenVerifier
from herald_server.auth.sso.provider_endpoints import (
    ProviderEndpoints,
    ProviderMetadata,
)
from herald_server.auth.sso.settings import OidcSettings
from herald_server.auth.tokens.jwks import KeySet, parse_keys

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


class KnownEndpoints(ProviderEndpoints):
    """The endpoints of a provider whose metadata is known."""

    async def read_metadata(self) -> ProviderMetadata:
        place = f"{ISSUER}/x"
        return ProviderMetadata(ISSUER, place, place, place)


def make_verifier() -> IdTokenVerifier:
    """Return a verifier that has the keys of the provider."""
    listed = []
    for name, key in KEYS.items():
        public: Any = ALGORITHMS[name].to_jwk(key.public_key(), as_dict=True)
        listed.append({**public, "kid": name, "alg": name, "use": "sig"})
    keys = KeySet("https://login.example.org/keys")
    keys._keys = parse_keys(to_json({"keys": listed}).decode())  # pyright: ignore[reportPrivateUsage]
    keys._asked_at = time.monotonic()  # pyright: ignore[reportPrivateUsage]
    return IdTokenVerifier(SETTINGS, KnownEndpoints(SETTINGS), keys)


def sign(key: Any, algorithm: str, kid: str = "", **claims: object) -> str:
    """Return an ID token for the client `herald`, with these claims."""
    now = time.time()
    whole = {
        "iss": ISSUER, "aud": "herald", "sub": "ann", "iat": now, "exp": now + 60,
        **claims,
    }  # fmt: skip
    return jwt.encode(whole, key, algorithm, headers={"kid": kid or algorithm})
