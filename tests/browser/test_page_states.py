"""The page in states that a healthy server seldom shows, and its craft."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser.scripted_server import ORIGIN, Frame, ScriptedServer

pytestmark = pytest.mark.browser

MARKUP = "<img src=x onerror=\"document.title='owned'\">"

# WCAG 2 contrast of each tone and text colour on each ground it stands on.
CONTRASTS = """() => {
    const canvas = document.createElement("canvas").getContext("2d");
    const box = document.body.appendChild(document.createElement("i"));
    const light = (name) => {
        box.style.color = `var(--${name})`;
        canvas.fillStyle = getComputedStyle(box).color;
        canvas.fillRect(0, 0, 1, 1);
        const parts = [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3)
            .map((c) => c / 255)
            .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
    };
    const inks = ["ink", "soft", "link", "good", "bad", "warn", "busy", "wait",
        "quiet", "lost"];
    const found = {};
    for (const ink of inks) for (const ground of ["surface", "sunk", "lit", "paper"]) {
        const [a, b] = [light(ink), light(ground)].sort((x, y) => y - x);
        found[`${ink} on ${ground}`] = (a + 0.05) / (b + 0.05);
    }
    return found;
}"""


def row(key: str, **more: Any) -> Frame:
    at = "2026-11-22T10:00:00.000Z"
    known = {"id": key, "name": f"app.{key}", "state": "RECEIVED", "received_at": at}
    return {**known, **more}


def tasks(*rows: Frame) -> Frame:
    return {"reset": "new", "put": list(rows), "cursor": "7-1"}


@pytest.fixture
def page(scripted: ScriptedServer) -> ScriptedServer:
    """The whole page on a scripted server that knows of nothing."""
    scripted.answers = {topic: tasks() for topic in ("counts", "workers", "tasks")}
    return scripted


def opened(server: ScriptedServer, more: str = "") -> Page:
    server.page.goto(f"{ORIGIN}#/tasks?token=t0ken{more}")
    expect(server.page.locator("#connection")).not_to_have_text("Connecting")
    return server.page


def test_without_a_token_the_page_asks_for_one(page: ScriptedServer) -> None:
    tab = page.page
    tab.goto(ORIGIN)
    expect(tab.locator("#token")).to_be_focused()
    tab.locator("#token").fill("t0ken")
    tab.keyboard.press("Enter")
    expect(tab.locator("#connection")).to_have_text("Live")


def test_a_refused_token_is_asked_for_again(page: ScriptedServer) -> None:
    tab = opened(page)
    page.close(4401, "The token has expired.")
    expect(tab.locator(".token-form")).to_contain_text("The token has expired.")
    assert tab.evaluate("sessionStorage.length") == 0


def test_another_refusal_is_shown_with_its_reason(page: ScriptedServer) -> None:
    tab = opened(page)
    page.close(4413, "too many subscriptions")
    expect(tab.get_by_role("alert")).to_contain_text("too many subscriptions")
    expect(tab.locator("#connection")).to_have_text("Refused")


def test_nothing_yet_says_what_to_do(page: ScriptedServer) -> None:
    tab = opened(page)
    expect(tab.locator("#empty")).to_contain_text(
        "celery -A proj worker -I herald_worker.auto"
    )
    expect(tab.locator("#empty")).to_contain_text("herald doctor")


def test_what_tasks_say_is_never_markup(page: ScriptedServer) -> None:
    evil = row("a", name=MARKUP, worker=MARKUP, args=[MARKUP], exception=MARKUP)
    page.answers["tasks"] = page.answers["panel"] = tasks(evil)
    tab = opened(page, "&task=a")
    expect(tab.locator("#panel .failure")).to_contain_text(MARKUP)
    assert tab.locator("main img, dialog img").count() == 0


def test_a_stale_page_says_since_when(page: ScriptedServer) -> None:
    tab = opened(page)
    page.send(type="status", stale=True, gaps=[])
    expect(tab.locator("#connection")).to_contain_text("Stale since ")
    expect(tab.locator("#announcer")).to_contain_text("Connection: Stale since")
    expect(tab).to_have_title(re.compile("^Stale since .* · Tasks · Herald$"))


def test_gaps_are_public(page: ScriptedServer) -> None:
    now = datetime.now(UTC)
    since, until = (now - timedelta(seconds=s) for s in (90, 60))
    gap = {"id": "1", "since": since.isoformat(), "until": until.isoformat()}
    tab = opened(page)
    expect(tab.locator("#gaps")).to_be_hidden()
    page.send(
        type="status", stale=False, gaps=[{**gap, "reason": "lost", "state": "open"}]
    )
    expect(tab.locator("#gaps")).to_have_text("1 gap")


def test_a_gap_says_how_far_its_repair_is_and_what_is_missing(
    page: ScriptedServer,
) -> None:
    tab = opened(page)
    describe = "async (gap) => (await import('/page/base/gaps.js')).describeGap(gap)"
    told = {"reason": "it was cut", "searched": 1_000, "to_search": 60_000}
    searching = tab.evaluate(describe, {**told, "state": "open"})
    assert searching == "it was cut. searched 1,000 of about 60,000 stored results"
    missing = {**told, "state": "unrepairable", "unrepaired": "Tasks may be missing."}
    assert tab.evaluate(describe, missing) == "it was cut. Tasks may be missing."


def test_what_the_server_refuses_is_shown_as_well(page: ScriptedServer) -> None:
    tab = opened(page)
    page.until_asked(1, "tasks")
    page.send(type="error", id="tasks", code="bad_filter", message="No.", retry=False)
    expect(tab.locator(".filter-error")).to_have_text("No.")


GRAMMAR = {
    "name:a state:retry,LOST": {"name": ["a"], "state": ["RETRY", "LOST"]},
    "worker:w1@* queue:a,b": {"worker": ["w1@*"], "queue": ["a", "b"]},
    'name:"two words"': {"name": ["two words"]},
    "report": {"name": ["*report*"]},
    "id:abc": {"ids": ["abc"]},
}
READ = (
    "async (text) => (await import('/dashboard/page/base/filter.js')).parseFilter(text)"
)


def test_the_filter_grammar(page: ScriptedServer) -> None:
    tab = opened(page)
    assert {text: tab.evaluate(READ, text) for text in GRAMMAR} == GRAMMAR
    tab.get_by_role("combobox", name="Search tasks").fill("state:retry")
    tab.keyboard.press("Enter")
    assert page.until_asked(2, "tasks")["filter"] == {"state": ["RETRY"]}


def test_rows_stay_under_the_pointer(page: ScriptedServer) -> None:
    page.answers["tasks"] = tasks(*(row(f"t{k:03}") for k in range(60)))
    tab = opened(page)
    mine = tab.locator("#rows tr").nth(5)
    name = mine.get_attribute("data-id")
    mine.hover()
    before = mine.bounding_box()
    fresh = [row(f"new{k}", received_at="2026-11-22T10:01:00.000Z") for k in range(4)]
    page.send(type="data", id="tasks", put=fresh, cursor="7-2")
    expect(tab.locator("#newer")).to_have_text("↑ 4 newer")
    assert tab.locator(f"[data-id={name}]").bounding_box() == before


def test_only_rows_in_view_are_made(page: ScriptedServer) -> None:
    page.answers["tasks"] = tasks(*(row(f"t{k:03}") for k in range(300)))
    tab = opened(page)
    expect(tab.locator("#list-summary")).to_have_text("300 tasks")
    expect(tab.locator("#rows tr").first).to_be_visible()
    assert tab.locator("#rows tr").count() < 60
    tab.locator("#scroller").evaluate("(it) => it.scrollTo(0, it.scrollHeight)")
    expect(tab.locator("#rows tr").last).to_have_attribute("data-id", "t000")
    assert tab.locator("#rows tr").count() < 60


def test_progress_is_shown_only_where_it_was_reported(page: ScriptedServer) -> None:
    real = row("a", state="STARTED", progress={"current": 3, "total": 4})
    page.answers["tasks"] = tasks(real, row("b", state="STARTED"))
    tab = opened(page)
    expect(tab.locator("[data-id=a] progress")).to_have_js_property("value", 75)
    expect(tab.locator("[data-id=b] progress")).to_be_hidden()


def test_every_text_can_be_read(page: ScriptedServer) -> None:
    tab = opened(page)
    tab.emulate_media(color_scheme="light")
    light = tab.evaluate(CONTRASTS)
    tab.emulate_media(color_scheme="dark")
    dark = tab.evaluate(CONTRASTS)
    assert light != dark
    weak = [k for found in (light, dark) for k, v in found.items() if v < 4.5]
    assert weak == []


def test_the_page_fits_a_phone(page: ScriptedServer) -> None:
    page.answers["tasks"] = tasks(row("a" * 90, worker="w" * 90))
    page.page.set_viewport_size({"width": 390, "height": 844})
    tab = opened(page)
    assert tab.evaluate("document.documentElement.scrollWidth") == 390


def test_times_are_shown_in_utc_or_here(page: ScriptedServer) -> None:
    page.answers["panel"] = tasks(row("a"))
    tab = opened(page, "&task=a")
    facts = tab.get_by_role("region", name="Facts")
    expect(facts).to_contain_text("10:00:00.000 UTC")
    tab.keyboard.press("Escape")
    tab.locator("#zone").click()
    expect(tab.locator("#zone")).to_have_text("Local")


def old(number: int, **more: Any) -> Frame:
    at = datetime(2026, 11, 22, 9, tzinfo=UTC) - timedelta(seconds=number)
    return row(f"t{number:04}", received_at=at.isoformat(), **more)


def test_a_reset_keeps_the_place_and_forgets_what_is_gone(
    page: ScriptedServer,
) -> None:
    """Beyond what a snapshot holds, all that is shown is asked about again."""
    there = [old(k) for k in range(800)]
    page.answers["tasks"] = tasks(*there[:500])
    page.rest["api/v1/tasks"] = lambda _: {"tasks": there}
    tab = opened(page)
    word, scroller = tab.locator("#list-summary"), tab.locator("#scroller")
    expect(tab.locator("#rows tr").first).to_be_visible()
    scroller.evaluate("(it) => it.scrollTo(0, it.scrollHeight)")
    expect(word).to_have_text("800 tasks")
    scroller.evaluate("(it) => it.scrollTo(0, 700 * 32)")
    mine = tab.locator("[data-id=t0702]")
    before = mine.bounding_box()
    del there[600], there[10]
    page.send(type="data", id="tasks", **{**tasks(*there[:499]), "reset": "slow"})
    expect(word).to_have_text("798 tasks")
    assert mine.bounding_box() == before


def test_a_page_does_not_undo_what_was_told_meanwhile(page: ScriptedServer) -> None:
    there = [old(k, state="STARTED") for k in range(600)]

    def answer(_: dict[str, str]) -> Frame:
        done = {**there[599], "state": "SUCCESS", "final": True}
        fresh = row("fresh", received_at="2026-11-22T10:01:00.000Z")
        page.send(type="data", id="tasks", put=[done, fresh], **{"del": ["t0598"]})
        # Taken in by the page before this answer is.
        expect(page.page.locator("#newer")).to_have_text("↑ 1 newer")
        return {"tasks": there}

    page.answers["tasks"] = tasks(*there[:500])
    page.rest["api/v1/tasks"] = answer
    tab = opened(page)
    scroller = tab.locator("#scroller")
    expect(tab.locator("#rows tr").first).to_be_visible()
    scroller.evaluate("(it) => it.scrollTo(0, it.scrollHeight)")
    expect(tab.locator("#list-summary")).to_have_text("600 tasks")
    scroller.evaluate("(it) => it.scrollTo(0, it.scrollHeight)")
    last = tab.locator("#rows tr[data-id=t0599]")
    expect(last).to_have_attribute("data-state", "SUCCESS")


HIDE = """(hidden) => {
    Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
}"""


def test_a_hidden_tab_rests_and_resumes_when_it_is_seen(page: ScriptedServer) -> None:
    page.page.clock.install()
    page.answers["tasks"] = tasks(row("a"))
    tab = opened(page)
    expect(tab.locator("#list-summary")).to_have_text("1 task")
    tab.evaluate(HIDE, True)
    tab.clock.run_for(61_000)
    expect(tab.locator("html")).to_have_attribute("data-connection", "resting")
    page.answers.clear()
    tab.evaluate(HIDE, False)
    assert page.until_asked(2, "tasks")["since"] == "7-1"
