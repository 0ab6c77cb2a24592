"""The list of tasks: held while it is read, grouped, and limited to a time by its
chart; and the panel beside it, as wide as the reader wants."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.support.browser import incident as night
from tests.support.browser.scripted_server import ORIGIN, ScriptedServer
from tests.support.environment import ROOT

pytestmark = pytest.mark.browser

ARTIFACTS = ROOT / ".ci" / "artifacts"

FAILED = [
    night.task(
        f"f{k}",
        "billing.charge_card" if k < 4 else "mail.send_one",
        "FAILURE",
        10 + k,
        exception="IntegrityError('duplicate key')" if k < 3 else "Busy()",
        final=True,
        worker=f"mail@w{k % 2}",
    )
    for k in range(6)
]


@pytest.fixture
def server(scripted: ScriptedServer) -> ScriptedServer:
    """The page's server on a bad night."""
    night.begin(scripted)
    scripted.answers["tasks"] = night.told(*FAILED)
    return scripted


def opened(server: ScriptedServer, place: str = "tasks") -> Page:
    separator = "&" if "?" in place else "?"
    server.page.goto(f"{ORIGIN}#/{place}{separator}token=t0ken")
    expect(server.page.locator("#connection")).to_have_text("Live")
    return server.page


def rows(tab: Page) -> Locator:
    return tab.locator("#rows tr")


def ids(tab: Page) -> list[str | None]:
    return [one.get_attribute("data-id") for one in rows(tab).all()]


def test_a_held_list_keeps_its_rows_until_it_goes_on(server: ScriptedServer) -> None:
    tab = opened(server)
    expect(rows(tab)).to_have_count(6)
    before = ids(tab)
    tab.keyboard.press("h")
    summary = tab.locator("#list-summary")
    expect(summary).to_have_text("held: 6 tasks stay as they are, 0 new")
    new = [night.task(f"n{k}", "a.b", "STARTED", 0) for k in range(3)]
    known = {**FAILED[1], "state": "RETRY", "updated_at": night.at(0)}
    server.send(
        type="data", id="tasks", put=[*new, known], **{"del": ["f0"]}, cursor="7-8"
    )
    expect(tab.get_by_role("button", name="Go on · 3 new")).to_be_visible()
    expect(tab.locator("[data-id=f1]")).to_have_attribute("data-state", "RETRY")
    assert ids(tab) == before
    tab.screenshot(path=ARTIFACTS / "page-list-held.png")
    tab.get_by_role("button", name="Go on").click()
    expect(rows(tab)).to_have_count(8)
    expect(tab.locator("[data-id=f0]")).to_have_count(0)
    expect(tab.get_by_role("button", name="Hold")).to_have_attribute(
        "aria-pressed", "false"
    )


def test_another_query_lets_a_held_list_go_on(server: ScriptedServer) -> None:
    tab = opened(server)
    tab.get_by_role("button", name="Hold").click()
    tab.get_by_role("combobox", name="Search tasks").fill("state:FAILURE")
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("button", name="Hold")).to_have_attribute(
        "aria-pressed", "false"
    )


@pytest.mark.parametrize(
    ("by", "first", "count", "query"),
    [
        ("name", "charge_card", "4", "name:billing.charge_card"),
        ("worker", "mail@w0", "3", "worker:mail@w0"),
        ("error", "Busy", "3", "error:Busy"),
        ("state", "Failure", "6", "state:FAILURE"),
    ],
)
def test_tasks_are_grouped_and_a_group_is_opened(
    server: ScriptedServer, by: str, first: str, count: str, query: str
) -> None:
    tab = opened(server)
    tab.get_by_label("Group by").select_option(by)
    table = tab.get_by_role("table", name=f"Tasks by {by}")
    row = table.get_by_role("row").nth(1)
    expect(row).to_contain_text(first)
    expect(row.get_by_role("cell").first).to_have_text(count)
    expect(tab).to_have_url(re.compile(f"group={by}"))
    if by == "name":
        tab.screenshot(path=ARTIFACTS / "page-list-grouped.png")
    table.get_by_role("link", name=first).click()
    expect(tab).to_have_url(re.compile(rf"q={query}$"))
    expect(rows(tab).first).to_be_visible()


def test_a_drag_over_the_times_chooses_the_range(server: ScriptedServer) -> None:
    tab = opened(server, "tasks?q=state:FAILURE")
    chart = tab.get_by_role("slider", name=re.compile("^Tasks by time: Failed"))
    box = chart.bounding_box()
    assert box is not None
    tab.screenshot(path=ARTIFACTS / "page-list-times.png")
    middle = box["y"] + box["height"] / 2
    tab.mouse.move(box["x"] + 400, middle)
    tab.mouse.down()
    tab.mouse.move(box["x"] + 700, middle, steps=5)
    tab.mouse.up()
    expect(tab).to_have_url(re.compile(r"q=state:FAILURE&at=[\dTZ:-]+\.\.[\dTZ:-]+$"))


def test_times_of_a_search_are_those_of_its_tasks(server: ScriptedServer) -> None:
    server.rest["api/v1/tasks"] = {"tasks": FAILED, "next": None, "searched": 9}
    tab = opened(server, "tasks?q=duplicate")
    chart = tab.get_by_role("slider", name=re.compile(r"Loaded here at most \d"))
    chart.focus()
    tab.keyboard.press("End")
    tab.keyboard.press("Shift+ArrowLeft")
    tab.keyboard.press("Enter")
    expect(tab).to_have_url(re.compile(r"at=.*\.\."))


def test_the_panel_is_made_wider_and_stays_so(server: ScriptedServer) -> None:
    tab = opened(server)
    rows(tab).first.click()
    panel = tab.locator("#panel")
    edge = panel.get_by_role("separator", name="Width of the panel")
    expect(edge).to_have_attribute("aria-valuenow", "600")
    edge.focus()
    tab.keyboard.press("ArrowLeft")
    expect(edge).to_have_attribute("aria-valuenow", "640")
    tab.mouse.move(800, 400)
    tab.mouse.down()
    tab.mouse.move(700, 400, steps=4)
    tab.mouse.up()
    expect(edge).to_have_attribute("aria-valuenow", "740")
    tab.screenshot(path=ARTIFACTS / "page-panel-wide.png")
    tab.reload()
    expect(edge).to_have_attribute("aria-valuenow", "740")
    box = panel.bounding_box()
    assert box is not None
    assert box["width"] == 740
    edge.focus()
    tab.keyboard.press("Enter")
    expect(edge).to_have_attribute("aria-valuenow", "600")
