"""One worker: its words, what it did at a time, and orders that end in an outcome."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, Request, expect

from tests.support.browser import incident as night
from tests.support.browser import incident_worker
from tests.support.browser.scripted_server import ORIGIN, Frame, ScriptedServer

pytestmark = pytest.mark.browser


@pytest.fixture
def shown(scripted: ScriptedServer) -> ScriptedServer:
    """The screen of a worker on a bad night."""
    night.begin(scripted)
    scripted.page.goto(f"{ORIGIN}#/worker/mail%40w1?token=t0ken")
    expect(scripted.page.get_by_role("heading", name="mail@w1")).to_be_visible()
    return scripted


def test_what_a_worker_says_is_shown_and_what_it_left_open(
    shown: ScriptedServer,
) -> None:
    tab = shown.page
    expect(tab.get_by_text("It left open: conf.")).to_be_visible()
    facts = tab.locator("dl.facts")
    expect(facts).to_contain_text("3 / 2")  # running, of the processes that there are
    expect(facts).to_contain_text("main 4100; 4101, 4102")
    expect(tab.get_by_text("at most 10/m")).to_be_visible()


def test_what_it_did_is_shown_with_how_far_the_search_came(
    shown: ScriptedServer,
) -> None:
    runs = shown.page.get_by_role("table", name="Runs")
    expect(runs.get_by_role("link", name="capture")).to_have_count(1)
    expect(
        shown.page.get_by_text("20,000 tasks were searched, back to")
    ).to_be_visible()


def test_a_time_of_the_day_is_shown_as_that_minute(shown: ScriptedServer) -> None:
    tab = shown.page
    show = tab.get_by_role("button", name="Show that minute")
    expect(show).to_be_disabled()
    tab.get_by_label("Time of the day").fill("02:13")
    with tab.expect_request(
        lambda one: "history" in one.url and "window=60" in one.url
    ):
        show.click()
    assert "T02:13:00Z..20" in tab.url or "T02%3A13%3A00Z..20" in tab.url


def test_an_order_is_confirmed_sent_and_followed_to_its_outcome(
    shown: ScriptedServer,
) -> None:
    tab: Page = shown.page
    expect(tab.get_by_text("Acknowledged")).to_be_visible()
    tab.get_by_label("by", exact=True).fill("3")
    tab.get_by_role("button", name="Grow the pool …").click()
    expect(tab.get_by_text("Grow the pool (n 3)?")).to_be_visible()

    def is_order(one: Request) -> bool:
        return one.method == "POST" and one.url.endswith("/orders")

    with tab.expect_request(is_order) as sent:
        tab.get_by_role("button", name="Yes").click()
    assert sent.value.post_data_json == {"command": "pool_grow", "n": "3"}
    done = incident_worker.order("verified", "The pool has 5 now, 2 before.")
    shown.send(type="data", id="worker-orders", put=[done], cursor="1-9")
    expect(tab.get_by_text("The pool has 5 now, 2 before.")).to_be_visible()
    expect(tab.get_by_text("Verified", exact=True)).to_be_visible()


def test_orders_that_are_switched_off_are_not_offered(scripted: ScriptedServer) -> None:
    night.begin(scripted)
    detail = incident_worker.answers(night.NOW)[incident_worker.PATH]
    scripted.rest[incident_worker.PATH] = {**detail, "can_be_ordered": False}
    scripted.page.goto(f"{ORIGIN}#/worker/mail%40w1?token=t0ken")
    expect(scripted.page.locator("dl.facts")).to_be_visible()
    expect(scripted.page.get_by_role("heading", name="Orders")).to_have_count(0)


def test_a_paused_queue_says_by_whom_and_is_resumed(scripted: ScriptedServer) -> None:
    tab = scripted.page
    night.begin(scripted)
    paused = {"who": "ops", "since": night.at(300)}
    queue: Frame = {
        "id": "mail",
        "name": "mail",
        "depth": 9,
        "consumers": [],
        "paused": paused,
    }
    scripted.answers["queues"] = {"reset": "new", "put": [queue], "cursor": "1-1"}
    scripted.rest["api/v1/queues/mail/resume"] = {"message": "consumed again"}
    tab.goto(f"{ORIGIN}#/queues?token=t0ken")
    expect(tab.get_by_text("paused by ops")).to_be_visible()
    expect(tab.get_by_text("No consumer")).to_have_count(0)
    tab.get_by_role("button", name="Resume").click()
    expect(tab.get_by_text("mail: consumed again")).to_be_visible()
