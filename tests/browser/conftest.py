"""Chromium, and the page's files as a server of their own would give them."""

import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Page,
    expect,
    sync_playwright,
)

from tests.support.browser import incident as night
from tests.support.browser.scripted_server import ORIGIN, ScriptedServer
from tests.support.browser.tabs import faultless
from tests.support.celery.default_project import Stranger
from tests.support.herald.process import TOKEN, HeraldProcess
from tests.support.servers.redis import private_valkey

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


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One Chromium for the browser tests of a module.

    Not longer: Playwright's loop runs all the while, and asynchronous tests of
    other modules could not run one of their own.
    """
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
    with faultless(context) as page:
        yield page


@pytest.fixture(scope="module")
def night_page(chromium: Browser) -> Iterator[ScriptedServer]:
    """The page on a bad night, for all tests of a module that only look at it."""
    context = chromium.new_context(
        viewport={"width": 1440, "height": 900}, reduced_motion="reduce"
    )
    with faultless(context) as page:
        page.clock.set_fixed_time(night.NOW)  # the night does not grow old
        server = ScriptedServer(page)
        night.begin(server)
        page.goto(f"{ORIGIN}#/overview?token=t0ken")
        expect(page.locator("#connection")).to_have_text("Live")
        yield server
    context.close()


@pytest.fixture
def scripted(tab: Page) -> ScriptedServer:
    """A server that says what the test tells it to."""
    return ScriptedServer(tab)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stranger]:
    """A project with a worker that can be told to stop a task."""
    place = tmp_path_factory.mktemp("shop")
    with private_valkey() as server:
        backend = server.url.rpartition("/")[0] + "/3"
        project = Stranger(place, server.url, backend, "prefork")
        project.start_worker()
        yield project
        project.stop()


@pytest.fixture(scope="module")
def herald(shop: Stranger) -> Iterator[HeraldProcess]:
    """`herald up` beside the project, on a port that it keeps when it restarts."""
    broker = shop.env["SHOP_BROKER"]
    with socket.create_server(("127.0.0.1", 0)) as place:
        port = place.getsockname()[1]
    up = HeraldProcess(shop.place / "up.log", "up", "--broker", broker, port=port)
    up.start()
    yield up
    up.stop()


@pytest.fixture
def herald_page_url(herald: HeraldProcess) -> str:
    """The page's address."""
    return herald.url


@pytest.fixture
def herald_token() -> str:
    """A token that opens it."""
    return TOKEN


@pytest.fixture
def submit_task(shop: Stranger) -> Iterator[Callable[[str], str]]:
    """Send a task that "succeeds", "fails" or "runs" until it is cancelled."""
    work = {
        "succeeds": ("shop.pay", [21]),
        "fails": ("shop.refuse", ["no"]),
        "runs": ("shop.pack", [60]),
    }
    app = cast(Any, shop.app)
    running: list[str] = []

    def submit(how: str) -> str:
        name, args = work[how]
        task_id: str = app.send_task(name, args).id
        if how == "runs":
            running.append(task_id)
        return task_id

    yield submit
    for task_id in running:
        app.control.revoke(task_id, terminate=True)
