"""The switch between the Celery installations of one server."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.support.environment import ROOT
from tests.support.herald.process import TOKEN, HeraldProcess
from tests.support.servers.redis import private_valkey

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("environments_page")]

ARTIFACTS = ROOT / ".ci" / "artifacts"


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HeraldProcess]:
    """A server of the default environment, of `staging`, and of one that is away."""
    place: Path = tmp_path_factory.mktemp("both")
    with private_valkey() as valkey:
        base = valkey.url.rpartition("/")[0]
        nowhere = "redis://127.0.0.1:1/0"
        environments = {
            "staging": {"broker": f"{base}/2", "store": f"{base}/3"},
            "away": {"broker": nowhere, "store": nowhere},
        }
        herald = HeraldProcess(
            place / "log",
            *("server", "--broker", f"{base}/0", "--store", f"{base}/1"),
            HERALD_ENVIRONMENTS=json.dumps(environments),
        )
        herald.start()
        yield herald
        herald.stop()


def test_the_switch_opens_the_same_screen_of_another_environment(
    both: HeraldProcess, tab: Page
) -> None:
    tab.goto(f"{both.url}#/queues?token={TOKEN}")
    switch = tab.get_by_role("combobox", name="Environment")
    expect(switch).to_have_value("")
    expect(switch.get_by_role("option")).to_have_text(
        ["default", "staging", "away (not available)"], use_inner_text=True
    )
    switch.select_option(label="staging")
    expect(tab).to_have_url(re.compile(r"/env/staging/#/queues$"))
    # It knows the token, and is of the other one.
    expect(tab.locator("#main")).to_be_visible()
    expect(switch).to_have_value("env/staging/")
    tab.screenshot(path=ARTIFACTS / "page-environment.png")
    switch.select_option(label="default")
    expect(tab).to_have_url(re.compile(r"^http://[\d.:]+/#/queues$"))


def test_the_page_of_an_environment_that_is_away_says_so(
    both: HeraldProcess, tab: Page
) -> None:
    tab.goto(f"{both.url}#/overview?token={TOKEN}")
    switch = tab.get_by_role("combobox", name="Environment")
    switch.select_option(label="away (not available)")
    expect(tab).to_have_url(re.compile(r"/env/away/#/overview$"))
    expect(tab.locator("#connection")).not_to_have_text("Live")
