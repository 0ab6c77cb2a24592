"""The page in server/examples, which carries the code of the quickstart."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.support.environment import DOCS, ROOT

pytestmark = pytest.mark.browser

PAGE = ROOT / "server" / "examples" / "page.html"
QUICKSTART = DOCS / "quickstart.md"


def test_the_page_shows_tasks_as_they_change(
    tab: Page,
    herald_page_url: str,
    herald_token: str,
    submit_task: Callable[[str], str],
) -> None:
    channel = herald_page_url.replace("http", "ws", 1) + "ws"
    # As if Herald served it: pages of other origins must be allowed first.
    tab.goto(f"{herald_page_url}healthz#{channel}#{herald_token}")
    tab.set_content(PAGE.read_text())
    for how, state in (("succeeds", "SUCCESS"), ("fails", "FAILURE")):
        task = submit_task(how)
        row = tab.locator(f'tr[data-id="{task}"]')
        expect(row).to_have_attribute("data-state", state)


def test_the_page_carries_the_code_of_the_quickstart() -> None:
    *_, code = re.findall(r"```js\n(.*?)```", QUICKSTART.read_text(), re.S)
    assert code in PAGE.read_text()
