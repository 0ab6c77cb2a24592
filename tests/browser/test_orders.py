"""Orders for many tasks on the page: the sheet, the corner, and a purge."""

import json
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.support.browser import incident as night
from tests.support.browser.scripted_server import ORIGIN, ScriptedServer

pytestmark = pytest.mark.browser

PREVIEW: dict[str, Any] = {
    **{"preview": True, "action": "retry", "count": 214, "acts_on": 199},
    **{"by_name": {"reports.build": 210, "mail.send": 4}, "more_names": 0},
    "by_state": {"FAILURE": 214},
    "skipped": {"ran_again": 12, "not_resendable": 3},
    "reasons": [{"outcome": "not_resendable", "reason": "they were cut", "count": 3}],
    **{"ran_again": 12, "not_resendable": 3, "examples": [], "per_second": 300},
    "selection": {"query": "failed", "at": "2026-11-30T02:13:00.000Z"},
    **{"needs_admin": False, "seconds": 0.7, "message": ""},
}
ORDER: dict[str, Any] = {
    **{"id": "o1", "kind": "bulk_retry", "state": "running", "who": "ops"},
    **{"requested_at": "2026-11-30T02:13:00.000Z", "target": "214 tasks"},
    "message": "",
    "details": {
        **{"count": 214, "handled": 100, "outcomes": {"sent": 97, "ran_again": 3}},
        "tag": "order:o1",
        "failures": [
            {"task_id": "t-cut", "outcome": "not_resendable", "reason": "they were cut"}
        ],
    },
    **{"updated_at": "2026-11-30T02:13:01.000Z", "rev": "1-2"},
}


class Api:
    """The routes of orders, as a test decides; `bodies` are what was sent."""

    def __init__(self, page: Page) -> None:
        self.bodies: list[tuple[str, dict[str, Any]]] = []
        self.answers: list[tuple[int, dict[str, Any]]] = []
        page.route(f"{ORIGIN}api/v1/orders**", self._answer)
        page.route(f"{ORIGIN}api/v1/orders/**", self._answer)
        page.route(f"{ORIGIN}api/v1/queues/**", self._answer)

    def _answer(self, route: Route) -> None:
        path = route.request.url.removeprefix(f"{ORIGIN}api/v1/")
        self.bodies.append((path, json.loads(route.request.post_data or "{}")))
        status, body = self.answers.pop(0)
        route.fulfill(status=status, json=body)


@pytest.fixture
def server(scripted: ScriptedServer) -> ScriptedServer:
    """The page's server on a bad night."""
    night.begin(scripted)
    return scripted


@pytest.fixture
def api(server: ScriptedServer) -> Api:
    """What the server answers to orders."""
    return Api(server.page)


def opened(server: ScriptedServer, place: str = "overview") -> Page:
    server.page.goto(f"{ORIGIN}#/{place}?token=t0ken")
    expect(server.page.locator("#connection")).to_have_text("Live")
    return server.page


def open_sheet(tab: Page, **wanted: Any) -> None:
    tab.evaluate(
        """async (wanted) => {
            const parts = "/dashboard/page/parts/orders/";
            const { openBulkSheet } = await import(parts + "bulk-sheet.js");
            await openBulkSheet(wanted);
        }""",
        wanted,
    )


def test_the_sheet_says_what_would_be_done_and_confirms_the_number(
    server: ScriptedServer, api: Api
) -> None:
    tab = opened(server)
    api.answers = [(200, PREVIEW), (201, ORDER)]
    open_sheet(tab, action="retry", query="failed")
    sheet = tab.get_by_role("dialog")
    expect(sheet).to_contain_text(
        "214 tasks · 12 ran again already · 3 cannot be re-sent"
    )
    sheet.get_by_label("At most").fill("5")
    sheet.get_by_role("button", name="Retry 199 of 214 tasks").click()
    expect(sheet).to_have_count(0)
    assert api.bodies[0] == ("orders", {"action": "retry", "query": "failed"})
    assert api.bodies[1] == (
        "orders",
        {
            **{"action": "retry", **PREVIEW["selection"]},
            **{"per_second": 5, "expect": 214},
        },
    )


def test_another_number_of_tasks_is_shown_before_it_is_confirmed(
    server: ScriptedServer, api: Api
) -> None:
    tab = opened(server)
    more = {**PREVIEW, "count": 215, "acts_on": 200}
    api.answers = [(200, PREVIEW), (409, {"detail": "215 now", "preview": more})]
    open_sheet(tab, action="retry", query="failed")
    sheet = tab.get_by_role("dialog")
    sheet.get_by_role("button", name="Retry 199 of 214 tasks").click()
    expect(sheet.get_by_role("alert")).to_have_text("215 now")
    expect(sheet.get_by_role("button", name="Retry 200 of 215 tasks")).to_be_visible()


def test_the_corner_shows_how_far_an_order_is_and_stops_it(
    server: ScriptedServer, api: Api
) -> None:
    server.answers["orders"] = {"reset": "new", "put": [ORDER], "cursor": "1-2"}
    api.answers = [(202, ORDER)]
    tab = opened(server)
    corner = tab.get_by_role("complementary", name="Orders")
    expect(corner).to_contain_text("Retry of 214 tasks")
    expect(corner.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "100")
    corner.get_by_role("button", name="Stop").click()
    expect(corner).to_contain_text("It stops.")
    assert api.bodies == [("orders/o1/stop", {})]
    corner.get_by_text("1 task not done").click()
    expect(corner.get_by_role("link", name="t-cut")).to_be_visible()


def test_a_queue_is_purged_by_its_depth(server: ScriptedServer, api: Api) -> None:
    done = {**ORDER, "kind": "purge_queue", "state": "done", "message": "12 removed."}
    api.answers = [(409, {"detail": "12 wait", "depth": 12}), (200, done)]
    tab = opened(server, "queues")
    tab.get_by_role("button", name="Purge").first.click()
    sheet = tab.get_by_role("dialog")
    button = sheet.get_by_role("button", name="Remove")
    expect(button).to_be_disabled()
    label = sheet.get_by_text("to confirm").inner_text()
    sheet.get_by_label("Type").fill(label.split()[1])
    button.click()
    expect(sheet.get_by_role("alert")).to_have_text("12 wait")
    sheet.get_by_label("Type 12").fill("12")
    sheet.get_by_role("button", name="Remove 12 messages").click()
    expect(sheet.get_by_role("alert")).to_have_text("12 removed.")


def test_the_tasks_of_a_cause_are_retried_from_the_errors(
    server: ScriptedServer, api: Api
) -> None:
    tab = opened(server, "errors")
    api.answers = [(200, PREVIEW)]
    tab.locator(".causes > li").first.get_by_role("button", name="Retry").click()
    expect(tab.get_by_role("dialog")).to_contain_text("Retry 214 tasks")
    assert api.bodies[0][1]["filter"] == {"failure": ["0a1b2c3d4e5f"]}
    assert api.bodies[0][1]["query"].startswith("finished:20")
