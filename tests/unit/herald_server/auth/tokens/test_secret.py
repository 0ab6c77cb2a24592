"""A minted token gives nobody the secret that it rests on."""

import base64
import hmac
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from herald_core.errors import InvalidInput
from herald_core.store.memory.store import MemoryStore
from herald_server.auth.identity import Identity, make_token
from herald_server.auth.page_token_seal import PURPOSE as PAGES
from herald_server.auth.tokens.claims import BadToken, parse_filter_claim
from herald_server.auth.tokens.issuer import PURPOSE, TokenIssuer, derive_identity
from herald_server.auth.tokens.secret import (
    _stretch,  # pyright: ignore[reportPrivateUsage]
    derive_key,
    find_weakness,
)
from herald_server.cli.main import cli
from herald_server.wiring.authentication import make_authenticator
from herald_server.wiring.secret_checks import check_secrets
from herald_server.wiring.settings import ServerSettings

SLOW = 0.02
"""Seconds that a guess takes at the least, on any machine: a plain HMAC takes 5 µs."""

GOOD = "a-token-for-tests"


def settings(**given: Any) -> ServerSettings:
    return ServerSettings(**given)


def minted(secret: str) -> str:
    owner = Identity("owner")
    return TokenIssuer(secret).sign(
        derive_identity(owner, owner.scopes, None, time.time() + 60)
    )


def test_a_guess_at_the_secret_is_slow() -> None:
    token = minted("sunshine")
    signed, _, signature = token.rpartition(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    # What a plain HMAC of the secret would be tried with, by the thousand.
    quick = hmac.digest(b"sunshine", PURPOSE, "sha256")
    assert hmac.digest(quick, signed.encode(), "sha256") != raw
    _stretch.cache_clear()
    began = time.process_time()
    key = derive_key("sunshine", PURPOSE)
    assert time.process_time() - began > SLOW
    assert hmac.digest(key, signed.encode(), "sha256") == raw


def test_each_purpose_has_a_key_of_its_own() -> None:
    assert derive_key(GOOD, PURPOSE) != derive_key(GOOD, PAGES)


def test_servers_take_each_others_tokens_whatever_they_sign_with() -> None:
    for given in ({"token": GOOD}, {"token": GOOD, "token_secret": "x" * 16}):
        one, other = (
            make_authenticator(settings(**given), MemoryStore()) for _ in range(2)
        )
        assert one.issuer is not None
        who = derive_identity(
            Identity("owner"), frozenset({"read"}), None, time.time() + 60, "page"
        )
        assert other.identify(one.issuer.sign(who)).name == "owner/page"


@pytest.mark.parametrize(
    ("secret", "why"),
    [
        ("sunshine", "fewer than 16 characters"),
        ("a" * 40, "fewer than 8 different"),
        ("passwordpassword", "fewer than 8 different"),
        ("changemechangeme", "fewer than 8 different"),
        (GOOD, None),
    ],
)
def test_what_is_easy_to_guess(secret: str, why: str | None) -> None:
    said = find_weakness(secret)
    assert (why in said) if why and said else said is why


def test_hex_and_base64_secrets_are_never_taken_for_weak() -> None:
    for _ in range(200):
        assert find_weakness(os.urandom(24).hex()) is None
        assert find_weakness(make_token()) is None


@pytest.mark.parametrize("name", ["token", "read_token", "token_secret", "jwt_secret"])
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "herald.example"])
def test_a_weak_secret_is_refused_where_others_come(name: str, host: str) -> None:
    given = {"token": GOOD, name: "a" * 40}
    with pytest.raises(InvalidInput, match=r"openssl rand -hex 24") as raised:
        check_secrets(settings(host=host, **given))
    assert f"HERALD_{name.upper()}=" in str(raised.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_on_loopback_a_weak_secret_is_a_warning(
    host: str, caplog: pytest.LogCaptureFixture
) -> None:
    check_secrets(ServerSettings(host=host, token="sunshine"))
    assert "HERALD_TOKEN is easy to guess" in caplog.text
    assert "sunshine" not in caplog.text


def test_a_good_secret_is_not_spoken_of(caplog: pytest.LogCaptureFixture) -> None:
    check_secrets(ServerSettings(host="0.0.0.0", token=GOOD, read_token=make_token()))
    assert not caplog.text


def test_a_server_with_a_weak_token_does_not_start(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "herald_server", "server", "--port", "0"]
    kept = {k: v for k, v in os.environ.items() if not k.startswith("HERALD_")}
    done = subprocess.run(
        [*words, "--host", "0.0.0.0"],
        env={**kept, "HERALD_TOKEN": "sunshine"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert "HERALD_TOKEN is easy to guess" in done.stderr
    assert "Traceback" not in done.stderr
    assert "sunshine" not in done.stderr


def test_a_weak_token_is_told_when_it_is_hashed() -> None:
    said = CliRunner().invoke(cli, ["token", "--hash"], input="sunshine\n")
    assert "easy to guess" in said.stderr
    assert said.stdout.startswith("sha256:")


# -- filters that narrow nothing ----------------------------------------------------


@pytest.mark.parametrize(
    "claim", [{}, {"ids": None}, {"name": None, "tag": None}, [{"name": "a"}, {}]]
)
def test_a_filter_without_a_value_opens_nothing(claim: object) -> None:
    with pytest.raises(BadToken, match="must have a key with a value"):
        parse_filter_claim(claim)


# -- HERALD_READ_TOKEN -------------------------------------------------------------


def test_the_token_for_reading_only_reads() -> None:
    ring = make_authenticator(
        ServerSettings(token=GOOD, read_token="r" * 16), MemoryStore()
    )
    assert ring.identify("r" * 16).scopes == {"read"}
    assert ring.identify("r" * 16).task_filter is None
    assert "admin" in ring.identify(GOOD).scopes


def test_the_token_for_reading_is_not_the_owners() -> None:
    with pytest.raises(ValueError, match="must be another than HERALD_TOKEN"):
        ServerSettings(token=GOOD, read_token=GOOD)
