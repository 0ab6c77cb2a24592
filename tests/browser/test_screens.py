"""Screens on a bad night: what an operator asks is answered where they look, nobody
is shut out, and nothing is invented.

Pictures are kept in `.ci/artifacts/`, for people.
"""

import json
import re
from importlib.resources import files
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.support.browser import incident as night
from tests.support.browser.scripted_server import (
    DASHBOARD,
    ORIGIN,
    Frame,
    ScriptedServer,
)
from tests.support.environment import ROOT

pytestmark = pytest.mark.browser

NOT_KNOWN = "\N{EN DASH}"
ARTIFACTS = ROOT / ".ci" / "artifacts"
AXE = (files("axe_playwright_python") / "axe.min.js").read_text()
RULES = """(rules) => axe.run(document, rules.length
    ? { runOnly: { type: "rule", values: rules } } : {})"""

# Of what differs by scheme only; all the rest is asked in light.
COLOURS = ["color-contrast", "link-in-text-block"]


def screens() -> list[str]:
    """Return the addresses of all screens, and of one with a task open."""
    text = (DASHBOARD / "page" / "base" / "routes.js").read_text()
    names: list[str] = re.findall(r"^  (\w+): \{ label:", text, re.M)
    arguments = {"task": "task/r1", "group": "group/g1", "worker": "worker/mail@w1"}
    arguments["type"] = "type/billing.capture"
    more = ("tasks?task=r1", "tasks?group=name")
    return [*(arguments.get(name, name) for name in names), *more]


def violations(tab: Page, rules: list[str]) -> list[str]:
    """Return what axe-core finds, a line each."""
    if not tab.evaluate("'axe' in window"):
        tab.evaluate(AXE)
    found: Any = tab.evaluate(RULES, rules)
    return [
        f"{one['id']}: {json.dumps([node['html'] for node in one['nodes']])[:600]}"
        for one in found["violations"]
    ]


def go(tab: Page, screen: str) -> None:
    tab.evaluate("(to) => { location.hash = to }", f"#/{screen}")
    name = screen.partition("?")[0].partition("/")[0]
    shown = tab.locator(f"#screen[data-name={name}] > :visible")
    expect(shown.first).to_be_visible()
    expect(tab.locator("#screen .skeleton")).to_have_count(0)


@pytest.mark.parametrize("screen", screens())
def test_axe_finds_nothing(night_page: ScriptedServer, screen: str) -> None:
    tab = night_page.page
    tab.emulate_media(color_scheme="light")
    go(tab, screen)
    assert violations(tab, []) == []
    keep(tab, screen, "light")
    tab.emulate_media(color_scheme="dark")
    assert violations(tab, COLOURS) == []
    keep(tab, screen, "dark")


@pytest.mark.parametrize("screen", screens())
def test_axe_finds_nothing_on_a_phone(night_page: ScriptedServer, screen: str) -> None:
    tab = night_page.page
    tab.set_viewport_size({"width": 390, "height": 844})
    tab.emulate_media(color_scheme="light")
    go(tab, screen)
    found = violations(tab, [])
    wide = tab.evaluate("document.querySelector('#main').scrollWidth")
    keep(tab, screen, "phone")
    tab.set_viewport_size({"width": 1440, "height": 900})
    assert found == []
    assert wide == 390


def keep(tab: Page, screen: str, scheme: str) -> None:
    """Keep a picture for people."""
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    name = "".join(c if c.isalnum() else "-" for c in screen)
    tab.screenshot(path=ARTIFACTS / f"page-{name}-{scheme}.png")


@pytest.fixture
def overview(night_page: ScriptedServer) -> Page:
    """The overview, with its figures."""
    go(night_page.page, "overview")
    expect(night_page.page.locator(".chart-picture rect").first).to_be_attached()
    return night_page.page


def card(tab: Page, title: str) -> Locator:
    return tab.get_by_role("region", name=re.compile(f"^{title}"))


def first_row(tab: Page, title: str) -> Locator:
    return card(tab, title).locator("tbody tr").first


def test_what_an_operator_asks_first(overview: Page) -> None:
    # Is it fresh, and did we lose events in the last hour?
    expect(overview.locator("#verdict")).to_have_text("Fresh, 1 gap closed")
    expect(overview.locator("#freshness-event")).to_have_text(re.compile(r"\d+ s ago"))
    lost = overview.locator("#freshness-lost")
    expect(lost).to_have_text("1 gap, 14 missing, 9 repaired, closed")
    # Which queue has no consumer?
    expect(first_row(overview, "Queues")).to_contain_text("billing")
    expect(overview.locator(".alarm", has_text="No consumer")).to_have_count(1)
    # What fails most, and what runs longest?
    expect(first_row(overview, "Failing")).to_contain_text("billing.capture")
    expect(first_row(overview, "Running")).to_contain_text("reports.build_year")


def test_nothing_is_out_of_sight(overview: Page) -> None:
    """On a usual screen there is nothing to scroll, and no number is cut off."""
    expect(overview.locator(".chart-picture rect").first).to_be_attached()
    main = overview.locator("#main")
    assert main.evaluate("(it) => it.scrollHeight <= it.clientHeight")
    cut = """() => [...document.querySelectorAll(".num, .tile .value, dd, .alarm")]
        .filter((it) => it.scrollWidth > it.clientWidth + 1)
        .map((it) => it.textContent)"""
    assert overview.evaluate(cut) == []


def test_it_can_be_read_on_a_phone(overview: Page) -> None:
    overview.set_viewport_size({"width": 390, "height": 844})
    for place in ("document.documentElement", "document.querySelector('#main')"):
        assert overview.evaluate(f"{place}.scrollWidth") == 390
    overview.screenshot(path=ARTIFACTS / "page-overview-phone.png")
    overview.set_viewport_size({"width": 1440, "height": 900})


def test_a_queue_that_gets_a_consumer_alarms_no_more(
    overview: Page, night_page: ScriptedServer
) -> None:
    expect(overview.locator("#nav [data-screen=queues]")).to_contain_text("1")
    taken = {**night.QUEUES[1], "id": "billing", "consumers": ["mail@w1"]}
    night_page.send(type="data", id="queues", put=[taken], cursor="7-2")
    expect(overview.locator(".alarm", has_text="No consumer")).to_have_count(0)
    flag = overview.locator("#nav [data-screen=queues] .flag")
    expect(flag).to_be_hidden()
    expect(overview.locator("#announcer")).to_have_text("1 worker silent")


def test_what_is_not_known_is_no_number(scripted: ScriptedServer) -> None:
    """A server that tells of nothing: dashes and sentences, not zeros."""
    tab = scripted.page
    tab.goto(f"{ORIGIN}#/overview?token=t0ken")
    failing = card(tab, "Failing")
    expect(failing).to_contain_text("No answer")
    numbers = tab.locator(".tile .number").all_inner_texts()
    assert set(numbers) == {NOT_KNOWN}
    facts = tab.locator("#freshness dd").all_inner_texts()
    assert {fact.strip() for fact in facts} == {NOT_KNOWN}


def test_pointing_at_a_minute_tells_its_numbers(overview: Page) -> None:
    chart = overview.locator(".chart")
    box = chart.bounding_box()
    assert box
    overview.mouse.move(box["x"] + box["width"] / 2, box["y"] + 30)
    tip = chart.locator(".chart-tip")
    expect(tip.locator(".when")).to_have_text(re.compile(r"^\d\d:\d\d$"))
    expect(tip).to_contain_text("/min")
    expect(chart.get_by_role("slider")).to_have_accessible_name(
        re.compile(r"^History: Succeeded at most .* at \d\d:\d\d; Failed at most")
    )


def test_dragging_over_the_chart_chooses_the_time(overview: Page) -> None:
    box = overview.locator(".chart").bounding_box()
    assert box
    overview.mouse.move(box["x"] + 400, box["y"] + 30)
    overview.mouse.down()
    overview.mouse.move(box["x"] + 600, box["y"] + 30, steps=4)
    overview.mouse.up()
    expect(overview).to_have_url(re.compile(r"#/overview\?at=[^&]+Z\.\.[^&]+Z$"))
    overview.go_back()
    expect(overview).to_have_url(re.compile(r"#/overview$"))


def test_a_time_is_chosen_with_the_keyboard_alone(overview: Page) -> None:
    chart = overview.get_by_role("slider", name=re.compile("^History"))
    chart.focus()
    for key in ("ArrowLeft", "ArrowLeft", "Shift+ArrowLeft", "Shift+ArrowLeft"):
        overview.keyboard.press(key)
    expect(chart).to_have_attribute("aria-valuetext", re.compile("Succeeded .* /min"))
    overview.keyboard.press("Enter")
    expect(overview).to_have_url(re.compile(r"at=[^&]+\.\."))
    overview.go_back()


def changed(key: str, state: str, **more: Any) -> Frame:
    task = night.task(key, f"mail.{key}", state, 0, **more)
    return {"type": "data", "id": "feed", "put": [task], "cursor": "7-3"}


def test_a_progress_report_is_no_line_of_the_feed(
    night_page: ScriptedServer,
) -> None:
    go(night_page.page, "changes")
    lines = card(night_page.page, "Live feed").locator("li")
    for percent in (10, 20):
        night_page.send(**changed("busy", "STARTED", progress={"percent": percent}))
    night_page.send(**changed("last", "RETRY"))
    expect(lines.first).to_contain_text("mail.last")
    expect(lines.filter(has_text="mail.busy")).to_have_count(1)


def test_the_feed_can_be_paused_and_filtered(night_page: ScriptedServer) -> None:
    tab = night_page.page
    go(tab, "changes")
    feed = card(tab, "Live feed")
    newest = feed.locator("li").first
    night_page.send(**changed("new", "RECEIVED"))
    expect(newest).to_contain_text("Received")
    feed.get_by_role("button", name="Pause").click()
    night_page.send(**changed("new", "FAILURE"))
    expect(feed).to_contain_text("1 held")
    expect(newest).to_contain_text("Received")
    feed.get_by_role("button", name="Resume").click()
    tab.mouse.move(0, 0)
    expect(newest).to_contain_text("Failure")
    asked = sum(frame["id"] == "feed" for frame in night_page.asked)
    feed.get_by_role("searchbox").fill("state:FAILURE")
    wanted = night_page.until_asked(asked + 1, "feed")
    assert wanted["filter"] == {"state": ["FAILURE"]}


def test_a_worker_that_is_gone_is_dismissed(night_page: ScriptedServer) -> None:
    tab = night_page.page
    go(tab, "workers")
    told = {"hostname": "old@w0", "state": "offline", "message": "It is forgotten."}
    night_page.rest["api/v1/workers/old%40w0"] = told
    row = tab.locator("tr[data-key='old@w0']")
    # Only what is gone can be dismissed, and not by a single click.
    expect(tab.get_by_role("button", name="Dismiss …")).to_have_count(2)
    row.get_by_role("button", name="Dismiss …").click()
    row.get_by_role("button", name="No").click()
    row.get_by_role("button", name="Dismiss …").click()
    assert violations(tab, []) == []
    row.get_by_role("button", name="Yes, dismiss").click()
    expect(tab.locator(".answer")).to_have_text("old@w0: It is forgotten.")
    night_page.send(type="data", id="workers", **{"del": ["old@w0"]}, cursor="7-9")
    expect(row).to_have_count(0)


def test_workers_without_the_outbox_are_named_where_others_have_it(
    night_page: ScriptedServer,
) -> None:
    tab = night_page.page
    go(tab, "workers")
    workers = card(tab, "Workers")
    ways = workers.locator("td:nth-child(7)")
    expect(workers.locator("td .warn-text", has_text="broker")).to_have_count(0)
    expect(workers).not_to_contain_text("without the outbox")
    one = night.WORKERS[0] | {"outbox": True}
    night_page.send(type="data", id="workers", put=[one], cursor="7-9")
    expect(ways.filter(has_text="outbox")).to_have_count(1)
    expect(workers).to_contain_text("without the outbox")
    expect(workers.locator("td .warn-text", has_text="broker").first).to_have_attribute(
        "title", "Start it with -I herald_worker.auto"
    )
    assert violations(tab, []) == []


@pytest.mark.parametrize(
    ("outbox", "text"),
    [
        ({"connected": True, "exists": True, "unread": 1200, "lag_ms": 4000}, "1,200"),
        ({"connected": True, "exists": True}, "0 unread"),
        ({"connected": True}, "unused"),
        ({}, "not connected"),
    ],
)
def test_the_lag_of_the_outbox_is_shown_with_the_monitors(
    night_page: ScriptedServer, outbox: dict[str, Any], text: str
) -> None:
    [monitor] = night.HEALTH["monitors"]
    shown = {**night.HEALTH, "monitors": [{**monitor, "outbox": outbox}]}
    night_page.rest["api/v1/health"] = shown
    go(night_page.page, "health")
    expect(card(night_page.page, "Monitors").locator("tbody")).to_contain_text(text)
