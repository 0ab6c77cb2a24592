"""The page of a task type: before and after a deploy, opened from the list of types."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.support.browser import incident as night
from tests.support.browser.scripted_server import Frame, ScriptedServer

pytestmark = pytest.mark.browser


def test_a_person_sees_p95_before_and_after_a_deploy(
    night_page: ScriptedServer,
) -> None:
    tab = night_page.page
    tab.evaluate("location.hash = '#/types'")
    expect(tab.locator(".slower")).to_contain_text(
        "p95 ≈ 1.1 s → 4.5 s (\N{MULTIPLICATION SIGN} 4.09)"
    )
    tab.locator("table a", has_text="capture").first.click()
    card = tab.locator(".before-after")
    expect(card.locator(".verdict")).to_contain_text("slower since release 4f1c")
    row = card.get_by_role("row", name="p95")
    expect(row.locator("td")).to_have_text(
        ["≈ 1.1 s", "≈ 4.5 s", "\N{MULTIPLICATION SIGN} 4.09"]
    )
    expect(tab.locator(".history .flagged")).to_have_count(2)


def test_another_mark_and_window_are_kept_in_the_address(
    night_page: ScriptedServer,
) -> None:
    asked: list[dict[str, str]] = []

    def compare(query: dict[str, str]) -> Frame:
        asked.append(query)
        return {**night.PERIODS, "comparison": night.COMPARISON}

    night_page.rest["api/v1/types/billing.capture/compare"] = compare
    tab = night_page.page
    tab.evaluate("location.hash = '#/type/billing.capture'")
    tab.get_by_label("since").select_option("m1")
    expect(tab.get_by_label("since")).to_have_value("m1")
    tab.get_by_label("each side").select_option("15m")
    expect(tab).to_have_url(
        tab.url.partition("#")[0] + "#/type/billing.capture?mark=m1&window=15m"
    )
    night_page.until("true")
    expect(tab.locator(".before-after .verdict")).to_be_visible()
    assert asked[-1] == {"mark": "m1", "window": "15m"}


def test_without_a_mark_the_page_says_how_to_set_one(
    night_page: ScriptedServer,
) -> None:
    tab = night_page.page
    night_page.rest["api/v1/marks"] = {"marks": []}
    for screen in ("types", "type/billing.capture"):
        tab.evaluate("(to) => { location.hash = to }", f"#/{screen}")
    expect(tab.locator(".before-after")).to_contain_text('herald mark "deploy 4f1c"')
