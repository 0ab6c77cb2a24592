"""The page that shows `/openapi.json`: all of it, and nothing from elsewhere."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.support.herald.process import HeraldProcess
from tests.support.servers.redis import private_valkey

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def herald(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HeraldProcess]:
    """A server without a monitor, below a prefix."""
    log: Path = tmp_path_factory.mktemp("reference") / "server.log"
    with private_valkey() as store:
        server = HeraldProcess(
            *(log, "server", "--store", store.url, "--root-path", "/herald"),
            HERALD_BROKER_URL="",
        )
        server.start()
        yield server
        server.stop()


def test_the_page_shows_each_operation(tab: Page, herald_page_url: str) -> None:
    asked: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(f"{herald_page_url}herald/docs")
    operation = tab.locator("#getTasksIdWhy")
    expect(operation.locator("summary")).to_contain_text("/api/v1/tasks/{id}/why")
    operation.locator("summary").click()
    expect(operation).to_contain_text("Scope: `read`")
    operation.get_by_role("link", name="WhyAnswer").click()
    expect(tab.locator("#schema-WhyAnswer")).to_contain_text("workers_asked")
    assert {url.split("/")[2] for url in asked} == {herald_page_url.split("/")[2]}


def test_the_page_is_searched(tab: Page, herald_page_url: str) -> None:
    tab.goto(f"{herald_page_url}docs")
    expect(tab.locator("#getStats")).to_be_visible()
    tab.get_by_label("Find").fill("purge")
    expect(tab.locator("#getStats")).to_be_hidden()
    expect(tab.locator("#postQueuesNamePurge")).to_be_visible()
