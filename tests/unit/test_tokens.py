"""Tokens of every kind: minted, of an issuer, and from a herald.toml."""

import asyncio
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
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given, settings
from hypothesis import strategies as st
from jwt.algorithms import RSAAlgorithm
from jwt.utils import base64url_encode

from herald_monitor.errors import BadInput
from herald_monitor.memory import MemoryStore
from herald_monitor.model.filters import Filter
from herald_monitor.model.shape import TaskImage
from herald_server.auth import SCOPES, Identity, Tokens
from herald_server.config import ServerSettings
from herald_server.tokens.claims import BadToken, only_of, scopes_of, written
from herald_server.tokens.jwks import KeySet, keys_of
from herald_server.tokens.keyring import Keyring
from herald_server.tokens.minting import Mint, made_of
from herald_server.tokens.opening import keyring_of
from herald_server.tokens.outside import Outside
from herald_server.tokens.static import hash_of, read_tokens

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


def key_set(*keys: dict[str, Any]) -> str:
    """Return a key set."""
    return json.dumps({"keys": keys})


def claims(**more: Any) -> dict[str, Any]:
    """Return what an issuer says of somebody who may read."""
    # An hour: a slow run comes to its last test minutes after it was collected.
    given = {"sub": "ann", "scope": "openid read herald:start", "exp": NOW + 3_600}
    whole = {**given, "iss": "https://issuer.example", "aud": "herald", **more}
    return {key: value for key, value in whole.items() if value is not None}


def outside(key_text: str = "", secret: str | None = SECRET) -> Keyring:
    """Return a keyring that knows one issuer."""
    keys = None
    if key_text:
        keys = KeySet("unused")
        vars(keys)["_keys"] = keys_of(key_text)
    issuer = Outside(secret, keys, "https://issuer.example", "herald")
    return Keyring(Tokens({"chosen": Identity("owner")}), Mint("x" * 16), issuer)


# -- minted ------------------------------------------------------------------------


def test_a_minted_token_says_all_that_it_allows() -> None:
    only = Filter(name=("reports.*",)).within(Filter(tag=("a", "b")))
    owner = Identity("owner", id="p1")
    who = made_of(owner, frozenset(["read"]), only, NOW + 60, "page")
    token = Mint("secret").sign(who)
    assert Mint("secret").read(token, NOW) == who
    assert (who.name, who.by) == ("owner/page", ("p1",))
    for wrong, at in (("other", NOW), ("secret", NOW + 60)):
        with pytest.raises(BadToken):
            Mint(wrong).read(token, at)


def test_a_token_that_was_changed_is_none() -> None:
    token = Mint("secret").sign(made_of(Identity("o"), frozenset(), None, NOW + 60))
    head, body, sign = token.split(".")
    wide = base64url_encode(b'{"jti":"x","sub":"o","exp":9e9}').decode()
    none = jwt.encode(
        {"jti": "x", "sub": "o", "exp": NOW + 60}, "", "none", {"typ": "herald+jwt"}
    )
    for wrong in (f"{head}.{wide}.{sign}", f"{head}.{body}.", none, f"{token}x"):
        with pytest.raises(BadToken):
            Mint("secret").read(wrong, NOW)


WORDS = st.sampled_from(["a", "b", "a.*", "*"])
LISTS = st.lists(WORDS, min_size=1, max_size=2).map(tuple) | st.none()
FILTERS = st.builds(Filter, name=LISTS, tag=LISTS, ids=LISTS, queue=LISTS)
TASKS = st.builds(
    TaskImage,
    id=st.sampled_from("ab"),
    name=st.sampled_from(["a", "a.x", "b"]),
    queue=st.sampled_from("ab"),
    tags=st.sampled_from([None, ("a",), ("b",), ("a", "b")]),
)


@settings(max_examples=50)
@given(FILTERS, FILTERS, FILTERS, TASKS)
def test_a_filter_within_others_matches_what_all_match(
    one: Filter, two: Filter, three: Filter, task: TaskImage
) -> None:
    """Also once it has travelled in a token: never more than each of them."""
    all_ = one.matches(task) and two.matches(task) and three.matches(task)
    narrowed = one.within(two.within(three))
    assert narrowed.matches(task) is all_
    back = only_of(written(narrowed) or None)
    assert (back is None or back.matches(task)) is all_


# -- of an issuer ------------------------------------------------------------------


def test_a_secret_that_both_know_makes_tokens() -> None:
    told = claims(herald={"queue": "fast"}, jti="j1")
    who = outside().look(jwt.encode(told, SECRET, "HS256"))
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
        assert ring.look(token).name == "jwt:ann"
    for header in ({"kid": "k2"}, {"kid": "k3"}, {}):
        token = jwt.encode(claims(), key, "RS256", header)
        with pytest.raises(BadToken):
            ring.look(token)


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
        outside().look(token)


def test_a_public_key_is_no_secret_and_no_algorithm_is_none(key: Key) -> None:
    """What RFC 8725 warns of: the header must not choose how it is checked."""
    ring = outside(key_set(public(key)), secret=None)
    pem = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    for secret in (pem, key_set(public(key)).encode()):
        with pytest.raises(BadToken):
            ring.look(_hmac_signed(secret))
    for algorithm in ("none", "None", "nOnE"):
        head = base64url_encode(json.dumps({"alg": algorithm}).encode())
        body = base64url_encode(json.dumps(claims()).encode())
        with pytest.raises(BadToken):
            ring.look(f"{head.decode()}.{body.decode()}.")
    with pytest.raises(BadToken):
        ring.look(jwt.encode(claims(), SECRET, "HS256"))
    with pytest.raises(BadToken):
        outside(secret=SECRET).look(jwt.encode(claims(), key, "RS256"))
    with pytest.raises(BadToken):
        ring.look(jwt.encode(claims(), key, "RS512", {"kid": "k1"}))


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
        outside().look(token)


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
    with pytest.raises(BadInput):
        keys_of(keys)


@pytest.mark.anyio
async def test_a_key_that_is_new_is_fetched(
    key: Key, other_key: Key, tmp_path: Path
) -> None:
    place = tmp_path / "keys.json"
    place.write_text(key_set(public(key)))
    keys = KeySet(str(place))
    await keys.fetch()
    ring = Keyring(Tokens({}), None, Outside(None, keys, None, "herald"))
    new = jwt.encode(claims(), other_key, "RS256", {"kid": "k2"})
    place.write_text(key_set(public(key), public(other_key, "k2")))
    with pytest.raises(BadToken, match="not known"):
        await ring.admit(new)  # it was fetched a moment ago
    vars(keys)["_asked_at"] -= 60.0
    assert (await ring.admit(new)).name == "jwt:ann"
    place.write_text("broken")
    await keys.fetch()
    assert (await ring.admit(new)).name == "jwt:ann", "what is known stays"


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
        ring = Keyring(Tokens({}), None, Outside(None, keys, None, "herald"))
        token = jwt.encode(claims(), key, "RS256", {"kid": "k1"})
        await keys.fetch()
        with pytest.raises(BadToken, match="not known"):
            ring.look(token)
        await keys.fetch()
        assert ring.look(token).name == "jwt:ann"


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
    assert scopes_of(claim) == scopes


# -- from a herald.toml ------------------------------------------------------------


def test_a_herald_toml_holds_hashes(tmp_path: Path) -> None:
    place = tmp_path / "herald.toml"
    place.write_text(
        f"""
[tokens.grafana]
hash = "{hash_of("secret-of-grafana")}"
scopes = ["read"]
only = {{ name = "reports.*", state = ["FAILURE"] }}

[tokens.ci]
hash = "{hash_of("secret-of-ci")}"
scopes = ["read", "start"]
"""
    )
    settings = ServerSettings(token="owner-token", catalog=place)
    ring = keyring_of(settings, MemoryStore())
    only = Filter(name=("reports.*",), state=("FAILURE",))
    grafana = Identity("grafana", frozenset(["read"]), only)
    assert ring.look("secret-of-grafana") == grafana
    assert ring.look("secret-of-ci").scopes == {"read", "start"}
    assert ring.look("owner-token").scopes == set(SCOPES)
    with pytest.raises(BadToken):
        ring.look(hash_of("secret-of-ci"))


GOOD = f'hash = "{hash_of("x")}"'


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
    with pytest.raises(BadInput, match=sentence):
        read_tokens(place)
