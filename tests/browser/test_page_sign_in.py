"""Signing in on the page, at a provider of OpenID Connect, in Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Response, expect

from tests.support.herald.process import HeraldProcess
from tests.support.servers.redis import PrivateValkey
from tests.support.sso.provider import run_provider

pytestmark = pytest.mark.browser

TABLE = """
[sso]
issuer = "{issuer}"
client_id = "herald"
client_secret_env = "HERALD_TEST_SSO_SECRET"

[sso.groups]
sre = ["read", "cancel", "admin"]
"""


@pytest.fixture
def herald(tmp_path: Path, valkey: PrivateValkey) -> Iterator[HeraldProcess]:
    with run_provider({"ann": ["sre"], "eve": ["sales"]}) as issuer:
        toml = tmp_path / "herald.toml"
        toml.write_text(TABLE.format(issuer=issuer))
        made = HeraldProcess(
            *(tmp_path / "herald.log", "server", "--store", valkey.url),
            *("--catalog", str(toml)),
            HERALD_TEST_SSO_SECRET="a secret of the tests",
        )
        made.start()
        try:
            yield made
        finally:
            made.stop()


def open_page(chromium: Browser, herald: HeraldProcess) -> Page:
    page = chromium.new_context().new_page()
    page.goto(f"{herald.url}#/workers")
    return page


def sign_in(page: Page, name: str) -> None:
    page.get_by_role("link", name="Sign in").click()
    page.get_by_placeholder("sub").fill(name)
    page.get_by_role("button", name="Authorize").click()


def test_a_person_signs_in_and_out(chromium: Browser, herald: HeraldProcess) -> None:
    page = open_page(chromium, herald)
    sign_in(page, "ann")
    expect(page.get_by_role("heading", name="Workers").first).to_be_visible()
    cookies = {one.get("name"): one for one in page.context.cookies(herald.url)}
    assert cookies["herald-session"].get("httpOnly")
    page.reload()
    page.get_by_role("button", name="Account").click()
    expect(page.get_by_text("sso:ann")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/oauth2/end_session**")
    assert "herald-session" not in {
        c.get("name") for c in page.context.cookies(herald.url)
    }
    page.context.close()


def find_session(page: Page, herald: HeraldProcess) -> str:
    """Return the session's cookie."""
    cookies = {one.get("name"): one for one in page.context.cookies(herald.url)}
    return str(cookies["herald-session"].get("value"))


def test_the_page_renews_the_session_before_it_ends(
    chromium: Browser, herald: HeraldProcess
) -> None:
    page = open_page(chromium, herald)
    renewed: list[str] = []
    page.on(
        "response", lambda one: renewed.append(one.url) if is_refresh(one) else None
    )
    sign_in(page, "ann")
    expect(page.get_by_role("heading", name="Workers").first).to_be_visible()
    # The clock of the page stands still from here on; a session lasts an hour.
    page.clock.install()
    page.reload()
    expect(page.get_by_role("heading", name="Workers").first).to_be_visible()
    first = find_session(page, herald)
    page.clock.fast_forward("58:30")
    assert not renewed
    with page.expect_response(is_refresh):
        page.clock.fast_forward("01:00")
    second = find_session(page, herald)
    assert second != first
    # The connection is open with the new session, and that one is kept as well.
    expect(page.locator("#connection")).to_contain_text("Stale since")
    with page.expect_response(is_refresh):
        page.clock.fast_forward("59:30")
    assert find_session(page, herald) not in (first, second)
    page.context.close()


def is_refresh(response: Response) -> bool:
    """Return True if it renewed the session."""
    return response.url.endswith("/auth/refresh") and response.ok


def test_a_person_of_no_group_sees_nothing(
    chromium: Browser, herald: HeraldProcess
) -> None:
    page = open_page(chromium, herald)
    sign_in(page, "eve")
    expect(page.get_by_text("none of the groups")).to_be_visible()
    page.get_by_role("link", name="Back to Herald").click()
    expect(page.get_by_role("heading", name="Sign in to Herald")).to_be_visible()
    page.context.close()
