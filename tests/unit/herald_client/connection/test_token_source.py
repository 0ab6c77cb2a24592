"""When a client gets a new token: before the old one ends, or once it is refused."""

import base64
import json

import pytest

from herald_client.connection.token_source import (
    RETRY_RENEWAL_S,
    TokenSource,
    read_expiry,
)
from herald_core.errors import InvalidInput

NOW = 1_800_000_000.0


def make_jwt(**claims: object) -> str:
    """Return what looks like a JWT: a client does not check signatures."""
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{body}.c2ln"


def make_source(ttl: float, *, can_renew: bool = True) -> TokenSource:
    return TokenSource(make_jwt(exp=NOW + ttl), NOW, can_renew=can_renew)


def test_the_end_of_a_jwt_is_read() -> None:
    assert read_expiry(make_jwt(exp=NOW + 900.5)) == NOW + 900.5


@pytest.mark.parametrize(
    "token",
    ["", "secret", "a.b", "a.!.c", "e30.e30.e30", make_jwt(exp="soon"), "a.\x80.c"],
)
def test_any_other_token_has_no_known_end(token: str) -> None:
    assert read_expiry(token) is None


@pytest.mark.parametrize(("ttl", "left"), [(900.0, 60.0), (10.0, 2.0), (-5.0, 0.0)])
def test_it_is_renewed_a_minute_before_its_end_or_a_fifth_of_it(
    ttl: float, left: float
) -> None:
    source = make_source(ttl)
    at = NOW + ttl - left
    assert not source.must_refresh(None, at - 0.1)
    assert source.must_refresh(None, at)


def test_without_a_function_it_is_never_renewed() -> None:
    source = make_source(10.0, can_renew=False)
    assert not source.must_refresh(None, NOW + 100)
    assert not source.may_renew_refused


def test_a_renewal_that_failed_is_tried_again_later() -> None:
    source = make_source(100.0)
    source.delay(NOW + 90)
    assert not source.must_refresh(None, NOW + 90)
    assert source.must_refresh(None, NOW + 90 + RETRY_RENEWAL_S)


def test_a_refused_token_is_renewed_unless_another_came_meanwhile() -> None:
    source = TokenSource("first", NOW, can_renew=True)
    assert source.must_refresh("first", NOW)
    source.replace("second", NOW)
    assert not source.must_refresh("first", NOW)


def may_renew(source: TokenSource) -> bool:
    return source.may_renew_refused


def test_a_new_token_that_is_refused_at_once_is_not_renewed_again() -> None:
    source = TokenSource("first", NOW, can_renew=True)
    told = [may_renew(source)]
    source.replace("second", NOW)
    told.append(may_renew(source))
    source.accept()
    assert [*told, may_renew(source)] == [True, False, True]


def test_what_is_no_token_is_refused() -> None:
    source = TokenSource("first", NOW, can_renew=True)
    with pytest.raises(InvalidInput, match="copy it again"):
        source.replace("two words", NOW)
    assert source.token == "first"
