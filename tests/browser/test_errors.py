"""The screen Errors: causes of failures, and the way to their tasks."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import incident as night
from tests.support.browser.incident_failures import list_causes
from tests.support.browser.scripted_server import ORIGIN, Frame, ScriptedServer
from tests.support.environment import ROOT

pytestmark = pytest.mark.browser

ARTIFACTS = ROOT / ".ci" / "artifacts"


def opened(server: ScriptedServer, place: str = "errors") -> Page:
    separator = "&" if "?" in place else "?"
    server.page.goto(f"{ORIGIN}#/{place}{separator}token=t0ken")
    expect(server.page.locator("#connection")).to_have_text("Live")
    return server.page


@pytest.fixture
def server(scripted: ScriptedServer) -> ScriptedServer:
    """The page's server on a bad night."""
    night.begin(scripted)
    return scripted


def test_the_most_frequent_cause_comes_first_with_its_own_frame(
    server: ScriptedServer,
) -> None:
    tab = opened(server)
    first = tab.locator(".causes > li").first
    expect(first).to_contain_text("charge_card")
    expect(first).to_contain_text("billing/charge.py")
    expect(first).to_contain_text("sqlalchemy.exc.IntegrityError")
    expect(first.locator(".number")).to_have_text("214")
    expect(first.get_by_text("New", exact=True)).to_be_visible()
    expect(tab.locator(".causes > li")).to_have_count(3)


def test_a_cause_leads_to_its_tasks_in_the_same_time(server: ScriptedServer) -> None:
    tab = opened(server, "errors?at=15m")
    tab.locator(".causes > li").first.get_by_role("link", name="Tasks").click()
    expect(tab).to_have_url(re.compile(r"#/tasks\?q=failure:0a1b2c3d4e5f&at=15m$"))
    asked = server.until_asked(1, "tasks")
    assert asked["filter"]["failure"] == ["0a1b2c3d4e5f"]


def test_the_cause_of_a_problem_leads_to_the_errors_of_its_name(
    server: ScriptedServer,
) -> None:
    asked: list[dict[str, str]] = []

    def answer(query: dict[str, str]) -> Frame:
        asked.append(query)
        return list_causes(night.at(900), night.at(4))

    server.rest["api/v1/failures"] = answer
    tab = opened(server, "overview")
    line = tab.get_by_role("listitem").filter(has_text="billing.capture fails")
    line.get_by_role("link", name=re.compile("IntegrityError")).click()
    expect(tab).to_have_url(re.compile(r"#/errors\?name=billing.capture&at=1h$"))
    expect(tab.locator(".causes > li")).to_have_count(3)
    assert asked[-1] == {"window": "1h", "name": "billing.capture"}
    tab.screenshot(path=ARTIFACTS / "page-errors-of-one.png")
    # What can be done is about this name too.
    first = tab.locator(".causes > li").first
    expect(first.get_by_role("link", name="Tasks")).to_have_attribute(
        "href", "#/tasks?q=failure:0a1b2c3d4e5f+name:billing.capture&at=1h"
    )
    with tab.expect_request("**/api/v1/orders") as sent:
        first.get_by_role("button", name="Retry").click()
    wanted: Frame = sent.value.post_data_json or {}
    assert wanted["filter"] == {
        "failure": ["0a1b2c3d4e5f"],
        "name": ["billing.capture"],
    }
    tab.keyboard.press("Escape")
    tab.get_by_role("link", name="Show the errors of all names").click()
    expect(tab).to_have_url(re.compile(r"#/errors\?at=1h$"))


def test_the_time_range_is_asked_for(server: ScriptedServer) -> None:
    asked: list[dict[str, str]] = []

    def answer(query: dict[str, str]) -> Frame:
        asked.append(query)
        return list_causes(night.at(900), night.at(4))

    server.rest["api/v1/failures"] = answer
    tab = opened(server, "errors?at=15m")
    expect(tab.locator(".causes > li")).to_have_count(3)
    assert asked[-1] == {"window": "15m"}
    span = "2026-11-01T02:00:00Z..2026-11-01T02:30:00Z"
    tab.evaluate("(to) => { location.hash = to }", f"#/errors?at={span}")
    expect(tab.locator(".causes > li")).to_have_count(3)
    assert asked[-1] == {
        "after": "2026-11-01T02:00:00.000Z",
        "before": "2026-11-01T02:30:00.000Z",
    }


def test_a_change_is_shown_without_a_reload(server: ScriptedServer) -> None:
    server.answers["failures"] = {"reset": "new", "put": [], "cursor": "7-1"}
    tab = opened(server)
    expect(tab.locator(".number").first).to_have_text("214")
    server.until_asked(1, "failures")
    later = list_causes(night.at(3_000), night.at(1))
    later["failures"][0]["count"] = 215
    server.rest["api/v1/failures"] = later
    put = [{"id": "0a1b2c3d4e5f", "count_1h": 215}]
    server.send(type="data", id="failures", put=put, cursor="9-1")
    expect(tab.locator(".number").first).to_have_text("215")


def test_no_failure_is_said(server: ScriptedServer) -> None:
    causes = list_causes(night.at(9), night.at(1))
    nothing: dict[str, Any] = {**causes, "failures": [], "total": 0}
    server.rest["api/v1/failures"] = nothing
    tab = opened(server)
    expect(tab.get_by_text("No failures")).to_be_visible()


def test_it_can_be_read_on_a_phone(server: ScriptedServer) -> None:
    tab = opened(server)
    expect(tab.locator(".causes > li")).to_have_count(3)
    tab.set_viewport_size({"width": 390, "height": 844})
    tab.screenshot(path=ARTIFACTS / "page-errors-phone.png")
    assert tab.evaluate("document.querySelector('#main').scrollWidth") == 390
