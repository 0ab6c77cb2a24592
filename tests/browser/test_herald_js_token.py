"""The browser client renews its token before its end, or when it is refused."""

import base64
import json
import time

import pytest

from tests.support.browser.scripted_server import ScriptedServer

pytestmark = pytest.mark.browser

RENEW = "() => { window.renewed = (window.renewed ?? 0) + 1; return 'new'; }"
REFUSED = "client.state.word === 'refused'"


def make_jwt(ttl: float) -> str:
    """Return what looks like a JWT: a client does not check signatures."""
    body = json.dumps({"exp": time.time() + ttl}).encode()
    return f"e30.{base64.urlsafe_b64encode(body).decode().rstrip('=')}.c2ln"


def test_an_open_connection_gets_the_new_token(scripted: ScriptedServer) -> None:
    scripted.connect(make_jwt(1.0), RENEW)
    scripted.until("window.renewed === 1")
    for _ in range(100):
        if scripted.tokens:
            break
        scripted.page.wait_for_timeout(20)
    assert scripted.tokens == ["new"]
    assert len(scripted.sockets) == 1


def test_a_refused_token_is_replaced_and_the_subscription_goes_on(
    scripted: ScriptedServer,
) -> None:
    scripted.connect("old", RENEW)
    task = {"id": "a", "received_at": "2026-11-22T10:00:00.000Z"}
    scripted.send(type="data", id="t", reset="new", put=[task], cursor="7-1")
    scripted.until("tasks.synced")
    scripted.close(4401, "the token has expired")
    assert scripted.until_asked(2)["since"] == "7-1"
    assert scripted.page.evaluate("renewed") == 1


def test_a_new_token_that_is_refused_too_ends_it(scripted: ScriptedServer) -> None:
    scripted.connect("old", RENEW)
    scripted.greeting, scripted.answers_pings = None, False
    scripted.close(4401)
    scripted.until_asked(2)
    scripted.close(4401, "the token is not valid here")
    scripted.until(REFUSED)
    assert scripted.page.evaluate("client.state.code") == 4401


def test_without_a_new_token_it_says_why(scripted: ScriptedServer) -> None:
    scripted.connect("old", "async () => { throw new Error('no session'); }")
    scripted.close(4401)
    scripted.until(REFUSED)
    assert scripted.page.evaluate("client.state.reason") == "no session"
