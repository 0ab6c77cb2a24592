"""The search of tasks, as a person uses it: words, suggestions, mistakes, columns,
order, selection, views and downloads."""

import json
import re
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.support.browser import incident as night
from tests.support.browser.scripted_server import ORIGIN, Frame, ScriptedServer

pytestmark = pytest.mark.browser

FAILED = [
    night.task(
        f"f{k}",
        "billing.charge_card",
        "FAILURE",
        10 + k,
        kwargs=f"{{'order_id': {12_345 + k}}}",
        exception="IntegrityError('duplicate key')",
        final=True,
        runtime=0.3,
    )
    for k in range(4)
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


def search(tab: Page) -> Locator:
    return tab.get_by_role("combobox", name="Search tasks")


def conditions(tab: Page) -> Locator:
    return tab.get_by_role("list", name="Conditions").get_by_role("listitem")


def rows(tab: Page) -> Locator:
    return tab.locator("#rows tr")


def searching(found: list[Frame], asked: list[dict[str, str]]) -> Any:
    def answer(query: dict[str, str]) -> Frame:
        asked.append(query)
        return {"tasks": found, "next": None, "searched": 54_295}

    return answer


def test_an_order_number_is_looked_for_in_arguments(server: ScriptedServer) -> None:
    asked: list[dict[str, str]] = []
    server.rest["api/v1/tasks"] = searching(FAILED[:1], asked)
    tab = opened(server)
    expect(rows(tab)).to_have_count(4)
    tab.keyboard.press("/")
    expect(search(tab)).to_be_focused()
    tab.keyboard.type("failed 12345")
    tab.keyboard.press("Enter")
    expect(conditions(tab)).to_have_count(2)
    expect(rows(tab)).to_have_count(1)
    expect(rows(tab)).to_contain_text("order_id")
    expect(tab.locator("#list-summary")).to_have_text("1 task · searched 54,295")
    assert asked[-1]["q"] == "failed 12345"
    expect(tab).to_have_url(re.compile("q=failed"))
    # The subscription narrows by what it understands, and new matches appear.
    assert server.until_asked(2, "tasks")["filter"] == {"state": ["FAILURE"]}
    new = {**FAILED[1], "id": "new", "kwargs": "{'order_id': 12345}"}
    server.send(type="data", id="tasks", put=[new, FAILED[2]], cursor="7-9")
    expect(rows(tab)).to_have_count(2)


def test_words_of_the_filter_need_no_search(server: ScriptedServer) -> None:
    tab = opened(server)
    search(tab).fill("status:failed worker:w01")
    tab.keyboard.press("Enter")
    wanted = server.until_asked(2, "tasks")["filter"]
    assert wanted == {"state": ["FAILURE"], "worker": ["w01*", "*@w01*"]}


def test_a_mistake_keeps_the_rows_and_offers_the_remedy(server: ScriptedServer) -> None:
    tab = opened(server)
    expect(rows(tab)).to_have_count(4)
    problem = {
        "detail": "unknown key 'stat' at character 1; did you mean state:failed",
        "suggestion": "state:failed",
        "position": 0,
    }
    tab.route("**/api/v1/tasks?*", lambda it: it.fulfill(status=422, json=problem))
    search(tab).fill("stat:failed")
    tab.keyboard.press("Enter")
    said = tab.get_by_role("status").filter(has_text="unknown key")
    expect(said).to_contain_text("did you mean state:failed")
    expect(rows(tab)).to_have_count(4)
    expect(tab.locator("#scroller")).to_have_attribute("data-stale", "")
    expect(tab.locator("#list-summary")).to_have_text("rows of the query before")
    tab.get_by_role("button", name="Use state:failed").click()
    expect(conditions(tab)).to_have_count(1)
    expect(conditions(tab)).to_contain_text("state:failed")
    expect(said).to_have_count(0)
    assert server.until_asked(3, "tasks")["filter"] == {"state": ["FAILURE"]}


def test_suggestions_are_taken_with_the_keyboard(server: ScriptedServer) -> None:
    tab = opened(server)
    search(tab).press_sequentially("queue:bil")
    options = tab.get_by_role("listbox", name="Suggestions").get_by_role("option")
    expect(options).to_have_count(1)
    expect(options).to_contain_text("1284 waiting")
    tab.keyboard.press("ArrowDown")
    tab.keyboard.press("Enter")
    expect(conditions(tab)).to_contain_text("queue:billing")
    expect(search(tab)).to_be_focused()
    tab.keyboard.press("Backspace")
    expect(search(tab)).to_have_value("queue:billing")
    expect(conditions(tab)).to_have_count(0)


def test_values_of_arguments_are_suggested_by_the_server(
    server: ScriptedServer,
) -> None:
    asked: list[str] = []

    def answer(query: dict[str, str]) -> Frame:
        asked.append(query["q"])
        begin = len("failed kwargs.order_id:")
        found = [("12345", "value"), ("failed", "state"), ("12399", "value")]
        return {
            "suggestions": [
                {"text": text, "kind": kind, "replaces": [begin, begin + 3]}
                for text, kind in found
            ]
        }

    server.rest["api/v1/tasks/suggest"] = answer
    tab = opened(server)
    search(tab).fill("failed")
    tab.keyboard.press("Enter")
    search(tab).press_sequentially("kwargs.order_id:123")
    options = tab.get_by_role("listbox", name="Suggestions").get_by_role("option")
    expect(options).to_have_text(["kwargs.order_id:12345", "kwargs.order_id:12399"])
    assert asked[-1] == "failed kwargs.order_id:123"
    tab.keyboard.press("ArrowDown")
    tab.keyboard.press("ArrowDown")
    tab.keyboard.press("Enter")
    expect(conditions(tab).nth(1)).to_contain_text("kwargs.order_id:12399")


def test_what_the_page_suggests_stays_in_its_place(server: ScriptedServer) -> None:
    server.rest["api/v1/tasks/suggest"] = {
        "suggestions": [
            {"text": "name:mail.of_an_old_day", "kind": "name", "replaces": [0, 4]},
            {"text": "name:mail.send_one", "kind": "name", "replaces": [0, 4]},
        ]
    }
    tab = opened(server)
    search(tab).press_sequentially("mail")
    options = tab.get_by_role("listbox", name="Suggestions").get_by_role("option")
    expect(options.last).to_contain_text("name:mail.of_an_old_day")
    expect(options.first).to_contain_text("name:mail.send_one")
    expect(options).to_have_count(3)  # the text itself is searched, too


def test_a_condition_is_removed_by_its_button(server: ScriptedServer) -> None:
    tab = opened(server, "tasks?q=state:FAILURE queue:pay")
    tab.get_by_role("button", name="Remove queue:pay").click()
    expect(conditions(tab)).to_have_count(1)
    expect(tab).to_have_url(re.compile(r"q=state:FAILURE$"))


def test_columns_are_chosen_and_kept_in_the_address(server: ScriptedServer) -> None:
    tab = opened(server)
    heads = tab.get_by_role("columnheader")
    tab.get_by_role("button", name="Columns").click()
    tab.get_by_role("checkbox", name="Keyword arguments").check()
    tab.keyboard.press("Escape")
    expect(heads.filter(has_text="Keyword arguments")).to_be_visible()
    expect(rows(tab).first).to_contain_text("12345")
    tab.reload()
    expect(heads.filter(has_text="Keyword arguments")).to_be_visible()


def test_a_heading_sorts_on_the_server(server: ScriptedServer) -> None:
    asked: list[dict[str, str]] = []
    slow = [{**FAILED[2], "runtime": 9.0}, FAILED[0]]
    server.rest["api/v1/tasks"] = searching(slow, asked)
    tab = opened(server)
    tab.get_by_role("button", name="Took").click()
    expect(rows(tab).first).to_have_attribute("data-id", "f2")
    assert asked[-1]["q"] == "sort:-runtime"
    head = tab.get_by_role("columnheader", name=re.compile("^Took"))
    expect(head).to_have_attribute("aria-sort", "descending")


def test_rows_are_selected_and_hold_still(server: ScriptedServer) -> None:
    tab = opened(server)
    boxes = tab.get_by_role("checkbox", name=re.compile("^Select billing"))
    boxes.nth(0).check()
    boxes.nth(2).click(modifiers=["Shift"])
    bar = tab.get_by_role("toolbar", name="Selected tasks")
    expect(bar).to_contain_text("3 tasks selected")
    bar.get_by_role("button", name="Copy ids").click()
    expect(bar.get_by_role("status")).to_have_text("Copied 3 ids.")
    bar.get_by_role("button", name="all 4 that match").click()
    expect(bar).to_contain_text("All 4 that match")
    bar.get_by_role("button", name="Clear selection").click()
    expect(bar).to_have_count(0)


@pytest.mark.parametrize("all_", [False, True])
def test_selected_tasks_are_sent_again(server: ScriptedServer, all_: bool) -> None:
    asked: list[dict[str, Any]] = []

    def answer(route: Route) -> None:
        asked.append(json.loads(route.request.post_data or "{}"))
        route.fulfill(status=400, json={"detail": "not now"})

    server.page.route(f"{ORIGIN}api/v1/orders", answer)
    tab = opened(server)
    tab.get_by_role("checkbox", name=re.compile("^Select billing")).first.check()
    bar = tab.get_by_role("toolbar", name="Selected tasks")
    if all_:
        bar.get_by_role("button", name="all 4 that match").click()
    bar.get_by_role("button", name="Retry").click()
    expect(tab.get_by_role("dialog").get_by_role("alert")).to_have_text("not now")
    wanted = {"query": ""} if all_ else {"ids": [asked[0].get("ids", [""])[0]]}
    assert asked[0] == {"action": "retry", **wanted}
    assert all_ or asked[0]["ids"][0]


def test_a_row_is_selected_with_the_keyboard(server: ScriptedServer) -> None:
    tab = opened(server)
    expect(rows(tab)).to_have_count(4)
    tab.keyboard.press("j")
    tab.keyboard.press("x")
    bar = tab.get_by_role("toolbar", name="Selected tasks")
    expect(bar).to_contain_text("1 task selected")


def test_a_view_is_saved_as_a_link(server: ScriptedServer) -> None:
    tab = opened(server, "tasks?q=state:FAILURE&at=1h&group=error")
    tab.get_by_role("button", name="Views").click()
    tab.get_by_role("textbox", name="Name of this view").fill("My failures")
    tab.get_by_role("button", name="Save").click()
    tab.goto(f"{ORIGIN}#/tasks")
    tab.get_by_role("button", name="Views").click()
    tab.get_by_role("link", name="My failures").click()
    expect(tab).to_have_url(re.compile(r"q=state:FAILURE&at=1h&group=error$"))
    tab.get_by_role("button", name="Views").click()
    tab.get_by_role("button", name="Remove the view My failures").click()
    expect(tab.get_by_role("link", name="My failures")).to_have_count(0)


def test_a_range_limits_the_list(server: ScriptedServer) -> None:
    old = night.task("old", "billing.charge_card", "FAILURE", 4_000, final=True)
    server.answers["tasks"] = night.told(*FAILED, old)
    tab = opened(server)
    expect(rows(tab)).to_have_count(5)
    tab.get_by_role("button", name=re.compile("^Time range")).click()
    tab.get_by_role("button", name="1 h", exact=True).click()
    expect(rows(tab)).to_have_count(4)


def test_rows_stay_under_a_finger(server: ScriptedServer) -> None:
    tab = opened(server)
    expect(rows(tab)).to_have_count(4)
    first = rows(tab).first
    before = first.bounding_box()
    tab.locator("#scroller").dispatch_event("touchstart")
    new = [night.task(f"n{k}", "a.b", "STARTED", 0) for k in range(40)]
    server.send(type="data", id="tasks", put=new, cursor="7-8")
    expect(tab.locator("#newer")).to_contain_text("40 newer")
    assert tab.locator("[data-id=f0]").bounding_box() == before


@pytest.mark.parametrize("size", [(320, 225), (720, 450)])
def test_the_list_can_be_read_at_large_zoom(
    server: ScriptedServer, size: tuple[int, int]
) -> None:
    server.page.set_viewport_size({"width": size[0], "height": size[1]})
    tab = opened(server)
    expect(rows(tab).first).to_be_attached()
    height = tab.locator("#scroller").evaluate("(it) => it.clientHeight")
    assert height >= 300
    assert tab.evaluate("document.documentElement.scrollWidth") == size[0]
