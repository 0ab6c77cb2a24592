"""Chromium, and the page's files as a server of their own would give them."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Page,
    expect,
    sync_playwright,
)
from tests.browser.scripted import ScriptedServer

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WAIT_MS = 10_000


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """One Chromium for all browser tests of a process."""
    path = os.environ.get("HERALD_TEST_CHROMIUM") or shutil.which("chromium")
    if path is None or not Path(path).exists():
        if os.environ.get("HERALD_TEST_REQUIRE_ALL") == "1":
            pytest.fail("Chromium is missing: install it or set HERALD_TEST_CHROMIUM.")
        pytest.skip("no Chromium; set HERALD_TEST_CHROMIUM to its path")
    expect.set_options(timeout=WAIT_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    """A fresh profile, in which the clipboard may be used."""
    context = chromium.new_context(
        viewport={"width": 1440, "height": 900},
        permissions=["clipboard-read", "clipboard-write"],
    )
    context.set_default_timeout(WAIT_MS)
    yield context
    context.close()


@pytest.fixture
def tab(context: BrowserContext) -> Iterator[Page]:
    """A tab whose page must not fail nor break its own security policy."""
    faults: list[str] = []
    page = context.new_page()
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on(
        "console",
        lambda said: (
            faults.append(said.text) if "Content Security" in said.text else None
        ),
    )
    yield page
    assert faults == []


@pytest.fixture
def scripted(tab: Page) -> ScriptedServer:
    """A server that says what the test tells it to."""
    return ScriptedServer(tab)
