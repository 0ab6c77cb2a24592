"""Signing in at a certified provider of OpenID Connect, in Chromium, also over TLS."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.support.conformance.suite import Unreachable
from tests.support.environment import missing
from tests.support.herald.process import HeraldProcess
from tests.support.servers.certificate import write_certificate
from tests.support.servers.nginx import free_port
from tests.support.servers.redis import PrivateValkey
from tests.support.sso.certified_provider import (
    CertifiedProvider,
    run_certified_provider,
)

pytestmark = [pytest.mark.browser, pytest.mark.soak]

TABLE = """
[sso]
issuer = "{issuer}"
client_id = "herald"
client_secret_env = "HERALD_TEST_SSO_SECRET"
scopes = ["openid", "groups"]

[sso.groups]
sre = ["read", "cancel", "admin"]
"""
PEOPLE = {"ann": ["sre"], "eve": ["sales"]}
COOKIE = {"http": "herald-session", "https": "__Host-herald-session"}


@contextlib.contextmanager
def serve(
    place: Path, valkey: PrivateValkey, algorithm: str, scheme: str
) -> Generator[tuple[HeraldProcess, CertifiedProvider]]:
    """Serve Herald at an address that the provider knows."""
    port = free_port()
    url, toml = f"{scheme}://127.0.0.1:{port}/", place / "herald.toml"
    more = {"HERALD_TEST_SSO_SECRET": "a secret of the tests"}
    if scheme == "https":
        more["HERALD_TLS_CERT"] = str(write_certificate(place / "cert.pem"))
    try:
        with run_certified_provider(url, algorithm, PEOPLE) as provider:
            toml.write_text(TABLE.format(issuer=provider.issuer))
            words = ["server", "--store", valkey.url, "--catalog", str(toml)]
            herald = HeraldProcess(place / "herald.log", *words, port=port, **more)
            herald.start()
            try:
                yield herald, provider
            finally:
                herald.stop()
    except Unreachable as error:
        missing(f"oidc-provider from npm ({error})")


@contextlib.contextmanager
def browse(chromium: Browser, herald: HeraldProcess) -> Generator[Page]:
    """Open the page in a profile of its own."""
    context = chromium.new_context(ignore_https_errors=True)
    page = context.new_page()
    page.goto(f"{herald.url}#/workers")
    yield page
    context.close()


def sign_in(page: Page, name: str) -> None:
    """Sign in at the provider, and agree that Herald gets the claims."""
    page.get_by_role("link", name="Sign in").click()
    page.locator("[name=login]").fill(name)
    page.locator("[name=password]").fill("any")
    page.locator("button[type=submit]").click()
    page.get_by_role("button", name="Continue").click()


def find_cookie(context: BrowserContext, url: str) -> dict[str, object] | None:
    """Return the cookie of the session at `url`; None if there is none."""
    name = COOKIE[url.partition(":")[0]]
    found = [dict(one) for one in context.cookies(url) if one.get("name") == name]
    return found[0] if found else None


def renew(page: Page) -> int:
    """Renew the session as the page does; return the status."""
    status: int = page.evaluate(
        "fetch('auth/refresh', {method: 'POST', headers: {'X-Herald-Request': '1'}})"
        ".then((answer) => answer.status)"
    )
    return status


@pytest.mark.parametrize(
    ("algorithm", "scheme"),
    [("RS256", "http"), ("ES256", "https"), ("EdDSA", "https")],
)
def test_a_person_signs_in_is_renewed_and_signs_out(
    chromium: Browser,
    tmp_path: Path,
    valkey: PrivateValkey,
    algorithm: str,
    scheme: str,
) -> None:
    with (
        serve(tmp_path, valkey, algorithm, scheme) as (herald, provider),
        browse(chromium, herald) as page,
    ):
        sign_in(page, "ann")
        expect(page.get_by_role("heading", name="Workers").first).to_be_visible()
        # The WebSocket is open, and tells that no monitor runs here.
        expect(page.locator("#connection")).to_contain_text("Stale since")
        first = find_cookie(page.context, herald.url)
        assert first
        assert first["httpOnly"]
        assert first["sameSite"] == "Lax"
        assert first["secure"] == (scheme == "https")
        assert renew(page) == 200
        second = find_cookie(page.context, herald.url)
        assert second
        assert second["value"] != first["value"]
        provider.set_groups({"ann": ["sales"]})
        assert renew(page) == 403
        page.reload()
        expect(page.get_by_role("heading", name="Sign in to Herald")).to_be_visible()


def test_signing_out_ends_the_session_at_the_provider(
    chromium: Browser, tmp_path: Path, valkey: PrivateValkey
) -> None:
    with (
        serve(tmp_path, valkey, "ES256", "https") as (herald, provider),
        browse(chromium, herald) as page,
    ):
        sign_in(page, "ann")
        page.get_by_role("button", name="Account").click()
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_url(f"{provider.issuer}/session/end**")
        assert find_cookie(page.context, herald.url) is None
        page.get_by_role("button", name="Yes, sign me out").click()
        page.wait_for_url(f"{herald.url}**")
        page.get_by_role("link", name="Sign in").click()
        expect(page.locator("[name=login]")).to_be_visible()


def test_a_person_of_no_group_sees_nothing(
    chromium: Browser, tmp_path: Path, valkey: PrivateValkey
) -> None:
    with (
        serve(tmp_path, valkey, "RS256", "https") as (herald, _),
        browse(chromium, herald) as page,
    ):
        sign_in(page, "eve")
        expect(page.get_by_text("none of the groups")).to_be_visible()
        assert find_cookie(page.context, herald.url) is None
        answer = page.request.get(f"{herald.url}api/v1/tasks")
        assert answer.status == 401
