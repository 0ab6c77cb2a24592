"""Tokens of every kind: minted, of an issuer, and from a herald.toml."""

import asyncio
import contextlib
import hashlib
import hmac
import json
import math
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from hypothesis import given, settings
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from jwt.utils import base64url_encode

from herald_core.errors import InvalidInput
from herald_core.model.filters import Filter
from herald_core.model.tasks.views import TaskView
from herald_core.store.memory.store import MemoryStore
from herald_server.auth.identity import SCOPES, Identity, StaticTokens
from herald_server.auth.tokens.authenticator import Authenticator
from herald_server.auth.tokens.claims import (
    BadToken,
    encode_filter_claim,
    parse_filter_claim,
    parse_scopes,
)
from herald_server.auth.tokens.external_jwt import ExternalJwtVerifier
from herald_server.auth.tokens.issuer import TokenIssuer, derive_identity
from herald_server.auth.tokens.jwks import MAX_BYTES, KeySet, parse_keys
from herald_server.auth.tokens.static import hash_token, read_tokens
from herald_server.wiring.authentication import make_authenticator
from herald_server.wiring.settings import ServerSettings

SECRET = "a-secret-of-an-issuer-of-32-bytes!"
NOW = time.time()

Key = rsa.RSAPrivateKey


@pytest.fixture(scope="module")
def key() -> Key:
    """The private key of an issuer."""
    return rsa.generate_private_key(public_exponent=65_537, key_size=2_048)


@pytest.fixture(scope="module")
def other_key() -> Key:
    """Somebody else's private key."""
    return rsa.generate_private_key(public_exponent=65_537, key_size=2_048)


def public(key: Key, id_: str | None = "k1", **more: str) -> dict[str, Any]:
    """Return the public half as it stands in a key set."""
    made = json.loads(RSAAlgorithm.to_jwk(key.public_key()))
    del made["key_ops"]
    return {**made, **({"kid": id_} if id_ else {}), **more}


def public_curve(key: ec.EllipticCurvePrivateKey, id_: str) -> dict[str, Any]:
    """Return the public half as it stands in a key set."""
    return {**json.loads(ECAlgorithm.to_jwk(key.public_key())), "kid": id_}


def key_set(*keys: dict[str, Any]) -> str:
    """Return a key set."""
    return json.dumps({"keys": keys})


def claims(**more: Any) -> dict[str, Any]:
    """Return what an issuer says of somebody who may read."""
    # An hour: a slow run comes to its last test minutes after it was collected.
    given = {"sub": "ann", "scope": "openid read herald:start", "exp": NOW + 3_600}
    whole = {**given, "iss": "https://issuer.example", "aud": "herald", **more}
    return {key: value for key, value in whole.items() if value is not None}


def outside(key_text: str = "", secret: str | None = SECRET) -> Authenticator:
    """Return a keyring that knows one issuer."""
    keys = None
    if key_text:
        keys = KeySet("unused")
        vars(keys)["_keys"] = parse_keys(key_text)
    issuer = ExternalJwtVerifier(secret, keys, "https://issuer.example", ["herald"])
    return Authenticator(
        StaticTokens({"chosen": Identity("owner")}), TokenIssuer("x" * 16), issuer
    )


# -- minted ------------------------------------------------------------------------


def test_a_minted_token_says_all_that_it_allows() -> None:
    only = Filter(name=("reports.*",)).intersect(Filter(tag=("a", "b")))
    owner = Identity("owner", id="p1")
    who = derive_identity(owner, frozenset(["read"]), only, NOW + 60, "page")
    token = TokenIssuer("secret").sign(who)
    assert TokenIssuer("secret").verify(token, NOW) == who
    assert (who.name, who.issuers) == ("owner/page", ("p1",))
    for wrong, at in (("other", NOW), ("secret", NOW + 60)):
        with pytest.raises(BadToken):
            TokenIssuer(wrong).verify(token, at)


def test_a_token_that_was_changed_is_none() -> None:
    token = TokenIssuer("secret").sign(
        derive_identity(Identity("o"), frozenset(), None, NOW + 60)
    )
    head, body, sign = token.split(".")
    wide = base64url_encode(b'{"jti":"x","sub":"o","exp":9e9}').decode()
    none = jwt.encode(
        {"jti": "x", "sub": "o", "exp": NOW + 60}, "", "none", {"typ": "herald+jwt"}
    )
    for wrong in (f"{head}.{wide}.{sign}", f"{head}.{body}.", none, f"{token}x"):
        with pytest.raises(BadToken):
            TokenIssuer("secret").verify(wrong, NOW)


WORDS = st.sampled_from(["a", "b", "a.*", "*"])
LISTS = st.lists(WORDS, min_size=1, max_size=2).map(tuple) | st.none()
FILTERS = st.builds(Filter, name=LISTS, tag=LISTS, ids=LISTS, queue=LISTS)
TASKS = st.builds(
    TaskView,
    id=st.sampled_from("ab"),
    name=st.sampled_from(["a", "a.x", "b"]),
    queue=st.sampled_from("ab"),
    tags=st.sampled_from([None, ("a",), ("b",), ("a", "b")]),
)


@settings(max_examples=50)
@given(FILTERS, FILTERS, FILTERS, TASKS)
def test_a_filter_within_others_matches_what_all_match(
    one: Filter, two: Filter, three: Filter, task: TaskView
) -> None:
    """Also once it has travelled in a token: never more than each of them."""
    all_ = one.matches(task) and two.matches(task) and three.matches(task)
    narrowed = one.intersect(two.intersect(three))
    assert narrowed.matches(task) is all_
    back = parse_filter_claim(encode_filter_claim(narrowed) or None)
    assert (back is None or back.matches(task)) is all_


# -- of an issuer ------------------------------------------------------------------


def test_a_secret_that_both_know_makes_tokens() -> None:
    told = claims(herald={"queue": "fast"}, jti="j1")
    who = outside().identify(jwt.encode(told, SECRET, "HS256"))
    assert who == Identity(
        "jwt:ann",
        frozenset(["read", "start"]),
        Filter(queue=("fast",)),
        told["exp"],
        "jwt:j1",
    )


def test_a_key_of_the_set_makes_tokens(key: Key, other_key: Key) -> None:
    ring = outside(key_set(public(key), public(other_key, "k2")))
    for signs, id_ in ((key, "k1"), (other_key, "k2")):
        token = jwt.encode(claims(), signs, "RS256", {"kid": id_})
        assert ring.identify(token).name == "jwt:ann"
    for header in ({"kid": "k2"}, {"kid": "k3"}, {}):
        token = jwt.encode(claims(), key, "RS256", header)
        with pytest.raises(BadToken):
            ring.identify(token)


def test_an_es256_key_of_the_set_makes_tokens(key: Key) -> None:
    curve_key = ec.generate_private_key(ec.SECP256R1())
    ring = outside(key_set(public(key), public_curve(curve_key, "k2")))
    for header in ({"kid": "k2"}, {}):
        token = jwt.encode(claims(), curve_key, "ES256", header)
        assert ring.identify(token).name == "jwt:ann"
    crossed = jwt.encode(claims(), key, "RS256", {"kid": "k2"})
    with pytest.raises(BadToken, match="not known"):
        ring.identify(crossed)


def test_an_ed25519_key_of_the_set_makes_tokens(key: Key) -> None:
    edwards = ed25519.Ed25519PrivateKey.generate()
    shown = json.loads(OKPAlgorithm.to_jwk(edwards.public_key()))
    ring = outside(key_set(public(key), {**shown, "kid": "k2"}))
    token = jwt.encode(claims(), edwards, "EdDSA", {"kid": "k2"})
    assert ring.identify(token).name == "jwt:ann"


def test_an_ed448_key_is_none() -> None:
    shown = json.loads(
        OKPAlgorithm.to_jwk(ed448.Ed448PrivateKey.generate().public_key())
    )
    with pytest.raises(InvalidInput, match=r"no JSON Web Key Set|no key"):
        parse_keys(key_set({**shown, "kid": "k1"}))


def test_scopes_may_be_in_the_claim_of_entra() -> None:
    told = claims(scope=None, scp="read admin")
    assert outside().identify(jwt.encode(told, SECRET, "HS256")).scopes == {
        *("read", "admin")
    }


@pytest.mark.parametrize("curve", [ec.SECP384R1(), ec.SECP256K1()])
def test_keys_of_other_curves_are_none(curve: ec.EllipticCurve) -> None:
    made = public_curve(ec.generate_private_key(curve), "k1")
    for algorithm in ({}, {"alg": "ES256"}):
        with pytest.raises(InvalidInput, match="no key for signatures"):
            parse_keys(key_set({**made, **algorithm}))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"exp": NOW - 1}, "expired"),
        ({"exp": None}, "no claim exp"),
        ({"exp": "soon"}, "not valid"),
        ({"exp": math.nan}, "not valid"),
        ({"exp": math.inf}, "not valid"),
        ({"exp": 1e300}, "not valid"),
        ({"exp": 10**400}, "not valid"),
        ({"sub": "\ud800"}, "not valid"),
        ({"sub": None}, "no claim sub"),
        ({"iss": "https://evil.example"}, "another issuer"),
        ({"iss": None}, "no claim iss"),
        ({"aud": "another-app"}, "another audience"),
        ({"aud": None}, "no claim aud"),
        ({"nbf": NOW + 36_000}, "not valid"),
        ({"herald": {"nam": "x"}}, "filter is wrong"),
        ({"herald": "all"}, "must be an object"),
        ({"herald": []}, "no list of one to eight"),
    ],
)
def test_a_claim_that_does_not_hold_opens_nothing(
    change: dict[str, Any], sentence: str
) -> None:
    token = jwt.encode(claims(**change), SECRET, "HS256")
    with pytest.raises(BadToken, match=sentence):
        outside().identify(token)


def test_a_public_key_is_no_secret_and_no_algorithm_is_none(key: Key) -> None:
    """What RFC 8725 warns of: the header must not choose how it is checked."""
    ring = outside(key_set(public(key)), secret=None)
    pem = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    for secret in (pem, key_set(public(key)).encode()):
        with pytest.raises(BadToken):
            ring.identify(_hmac_signed(secret))
    for algorithm in ("none", "None", "nOnE"):
        head = base64url_encode(json.dumps({"alg": algorithm}).encode())
        body = base64url_encode(json.dumps(claims()).encode())
        with pytest.raises(BadToken):
            ring.identify(f"{head.decode()}.{body.decode()}.")
    with pytest.raises(BadToken):
        ring.identify(jwt.encode(claims(), SECRET, "HS256"))
    with pytest.raises(BadToken):
        outside(secret=SECRET).identify(jwt.encode(claims(), key, "RS256"))
    with pytest.raises(BadToken):
        ring.identify(jwt.encode(claims(), key, "RS512", {"kid": "k1"}))


def _hmac_signed(secret: bytes) -> str:
    # By hand: the library refuses to sign with a public key.
    head = base64url_encode(b'{"alg":"HS256","kid":"k1","typ":"JWT"}')
    body = base64url_encode(json.dumps(claims()).encode())
    sign = hmac.new(secret, head + b"." + body, hashlib.sha256).digest()
    return b".".join([head, body, base64url_encode(sign)]).decode()


def test_a_foreign_secret_makes_none_of_our_own() -> None:
    told = {**claims(), "jti": "x"}
    token = jwt.encode(told, SECRET, "HS256", {"typ": "herald+jwt"})
    with pytest.raises(BadToken):
        outside().identify(token)


@pytest.mark.parametrize(
    "keys",
    [
        '{"keys":[]}',
        "{}",
        "[]",
        "no json",
        '{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}',
        '{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}',
    ],
)
def test_a_key_set_without_usable_keys_is_refused(keys: str) -> None:
    with pytest.raises(InvalidInput):
        parse_keys(keys)


@pytest.mark.anyio
async def test_a_key_that_is_new_is_fetched(
    key: Key, other_key: Key, tmp_path: Path
) -> None:
    place = tmp_path / "keys.json"
    place.write_text(key_set(public(key)))
    keys = KeySet(str(place))
    await keys.fetch()
    ring = Authenticator(
        StaticTokens({}), None, ExternalJwtVerifier(None, keys, None, ["herald"])
    )
    new = jwt.encode(claims(), other_key, "RS256", {"kid": "k2"})
    place.write_text(key_set(public(key), public(other_key, "k2")))
    with pytest.raises(BadToken, match="not known"):
        await ring.authenticate(new)  # it was fetched a moment ago
    vars(keys)["_asked_at"] -= 60.0
    assert (await ring.authenticate(new)).name == "jwt:ann"
    place.write_text("broken")
    await keys.fetch()
    assert (await ring.authenticate(new)).name == "jwt:ann", "what is known stays"


@pytest.mark.anyio
async def test_a_key_set_is_fetched_from_its_address(key: Key) -> None:
    text = key_set(public(key)).encode()
    answers = [b"HTTP/1.1 500 No\r\n\r\n", b"HTTP/1.1 200 Yes\r\n\r\n" + text]

    async def answer(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answers.pop(0))
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        keys = KeySet(f"http://127.0.0.1:{port}/keys")
        ring = Authenticator(
            StaticTokens({}), None, ExternalJwtVerifier(None, keys, None, ["herald"])
        )
        token = jwt.encode(claims(), key, "RS256", {"kid": "k1"})
        await keys.fetch()
        with pytest.raises(BadToken, match="not known"):
            ring.identify(token)
        await keys.fetch()
        assert ring.identify(token).name == "jwt:ann"


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.1 200 Yes\r\n\r\n" + b" " * (MAX_BYTES + 1), "larger than"),
        (b"HTTP/1.1 200 Yes\r\n", "TimeoutError"),
    ],
)
async def test_an_answer_without_bounds_is_given_up(
    answer: bytes,
    why: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("herald_server.auth.tokens.jwks.TIMEOUT_S", 0.5)

    async def send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        with contextlib.suppress(ConnectionError):
            await reader.read(-1)
        writer.close()

    server = await asyncio.start_server(send, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        await KeySet(f"http://127.0.0.1:{port}/keys").fetch()
    assert why in caplog.text


def test_a_key_set_wants_an_audience() -> None:
    with pytest.raises(ValueError, match="HERALD_JWT_AUDIENCE"):
        ServerSettings(token="a" * 8, jwt_jwks="https://issuer.example/keys")


def test_a_key_set_from_elsewhere_is_fetched_over_tls() -> None:
    with pytest.raises(ValueError, match="must be https"):
        ServerSettings(
            token="a" * 8, jwt_jwks="http://issuer.example/keys", jwt_audience="herald"
        )


@pytest.mark.parametrize(
    ("claim", "scopes"),
    [
        ("read admin", {"read", "admin"}),
        (["herald:cancel", "other"], {"cancel"}),
        ("Read reads", set[str]()),
        (None, set[str]()),
        ({"read": 1}, set[str]()),
    ],
)
def test_scopes_are_those_that_are_ours(claim: object, scopes: set[str]) -> None:
    assert parse_scopes(claim) == scopes


# -- from a herald.toml ------------------------------------------------------------


def test_a_herald_toml_holds_hashes(tmp_path: Path) -> None:
    place = tmp_path / "herald.toml"
    place.write_text(
        f"""
[tokens.grafana]
hash = "{hash_token("secret-of-grafana")}"
scopes = ["read"]
only = {{ name = "reports.*", state = ["FAILURE"] }}

[tokens.ci]
hash = "{hash_token("secret-of-ci")}"
scopes = ["read", "start"]
"""
    )
    settings = ServerSettings(token="owner-token", catalog=place)
    ring = make_authenticator(settings, MemoryStore())
    only = Filter(name=("reports.*",), state=("FAILURE",))
    grafana = Identity("grafana", frozenset(["read"]), only)
    assert ring.identify("secret-of-grafana") == grafana
    assert ring.identify("secret-of-ci").scopes == {"read", "start"}
    assert ring.identify("owner-token").scopes == set(SCOPES)
    with pytest.raises(BadToken):
        ring.identify(hash_token("secret-of-ci"))


GOOD = f'hash = "{hash_token("x")}"'


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('[tokens.a]\nhash = "abc"', "hash must be"),
        ("[tokens.a]", "hash must be"),
        (f'[tokens.a]\n{GOOD}\nscopes = ["root"]', "unknown scope 'root'"),
        (f"[tokens.a]\n{GOOD}\nscopes = []", "scopes must be a list"),
        (f'[tokens.a]\n{GOOD}\nonly = "x"', "only must be a filter"),
        (f'[tokens.a]\n{GOOD}\nonly = {{ nam = "x" }}', "did you mean 'name'"),
        (f'[tokens.a]\n{GOOD}\nscope = "read"', "unknown key 'scope'"),
        (f"[tokens.owner]\n{GOOD}", "not `owner`"),
        (f"[tokens.a]\n{GOOD}\n[tokens.b]\n{GOOD}", "the hash of another token"),
        ("tokens = 1", "must be tables"),
        ("[tokens\n", "cannot read"),
    ],
)
def test_what_is_wrong_in_it_is_named(tmp_path: Path, text: str, sentence: str) -> None:
    place = tmp_path / "herald.toml"
    place.write_text(text)
    with pytest.raises(InvalidInput, match=sentence):
        read_tokens(place)
