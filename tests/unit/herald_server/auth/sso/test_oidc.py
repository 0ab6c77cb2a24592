"""The flow at a provider of OpenID Connect."""

from __future__ import annotations

import pytest

from herald_server.auth.sso.oidc import OidcProvider, make_challenge
from herald_server.auth.sso.provider_endpoints import LoginFailed
from tests.support.sso.id_tokens import (
    RSA,
    SETTINGS,
    KnownEndpoints,
    make_verifier,
    sign,
)

pytestmark = pytest.mark.anyio


async def test_a_person_is_who_the_tokens_are_about() -> None:
    provider = OidcProvider(SETTINGS, KnownEndpoints(SETTINGS), make_verifier())
    token = sign(RSA, "RS256", sub="ann", groups=["sre"])
    person = await provider.identify({"id_token": token, "token_type": "Bearer"})
    assert (person.name, person.groups) == ("ann", ("sre",))
    with pytest.raises(LoginFailed, match="says no sub of you"):
        await provider.identify({"id_token": "", "access_token": "x"})


def test_the_challenge_is_that_of_the_standard() -> None:
    # RFC 7636, appendix B.
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert make_challenge(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
