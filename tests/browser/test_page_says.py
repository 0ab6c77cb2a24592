"""What the page says of the system, of Herald, and of what it does not know."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.support.browser import incident as night
from tests.support.browser.scripted_server import ORIGIN, Frame, ScriptedServer
from tests.support.browser.tabs import faultless

pytestmark = pytest.mark.browser

LONG_MS = 30_000
PHONE = {"width": 390, "height": 844}


@pytest.fixture
def server(scripted: ScriptedServer) -> ScriptedServer:
    """The page's server on a bad night."""
    night.begin(scripted)
    return scripted


def opened(server: ScriptedServer, screen: str = "overview") -> Page:
    server.page.goto(f"{ORIGIN}#/{screen}?token=t0ken")
    expect(server.page.locator("#connection")).to_have_text("Live")
    return server.page


# -- a dead connection ----------------------------------------------------------------


def test_a_connection_without_a_word_is_not_live(server: ScriptedServer) -> None:
    tab = opened(server)
    server.answers_pings = False
    pill, lag = tab.locator("#connection"), tab.locator("#lag")
    expect(pill).to_have_text(re.compile(r"^No response for \d+ s$"), timeout=LONG_MS)
    expect(pill).to_have_attribute("data-tone", "warn")
    expect(lag).to_have_text(re.compile(r"^\d+\.\d s$"))
    before = lag.inner_text()
    expect(lag).not_to_have_text(before)
    expect(tab.locator("#verdict")).to_contain_text("No response from the server since")
    expect(tab.locator("#system")).to_contain_text("As of")
    expect(tab).to_have_title(re.compile(r"No response · Now · Herald$"))
    server.answers_pings = True
    expect(pill).to_have_text("Live", timeout=LONG_MS)


# -- what was lost --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "nothing_lost"),
    [(7_200, "nothing lost in 1 h"), (60, r"nothing lost since \d\d:\d\d")],
)
def test_nothing_lost_is_said_of_the_time_in_which_a_monitor_listened(
    server: ScriptedServer, seconds: float, nothing_lost: str
) -> None:
    server.greetings = [{"type": "status", "stale": False, "gaps": [], "lag_ms": 12}]
    monitors = [{**night.HEALTH["monitors"][0], "connected_since": night.at(seconds)}]
    health = {**night.HEALTH, "gaps": [], "monitors": monitors}
    server.rest["api/v1/overview"] = {**night.overview(), "health": health}
    tab = opened(server)
    expect(tab.locator("#trust")).to_have_text(re.compile(f"^{nothing_lost}$"))


# -- the system, and Herald ------------------------------------------------------------


def test_each_problem_says_since_when_why_and_what_can_be_done(
    server: ScriptedServer,
) -> None:
    tab = opened(server)
    expect(tab.get_by_role("heading", name="5 things need you")).to_be_visible()
    expect(tab).to_have_title("(5) Now · Herald")
    needs = tab.get_by_role("region", name="5 things need you")
    expect(needs).to_have_attribute("data-tone", "bad")
    lines = needs.get_by_role("listitem")
    for title, said, link in (
        ("billing.capture fails 43 %", "since .* · usually 1.2 %", "Show 19"),
        ("Queue billing: no consumer", "since .*1,284 messages waiting", "Queue"),
        ("Worker reports@w3 is silent", "last heartbeat .* 2 tasks", "Workers"),
        ("1 task lost", "no worker knows it", "Show 1"),
        ("reports.build_year runs unusually long", "99 %", "Task"),
    ):
        line = lines.filter(has_text=title)
        expect(line).to_contain_text(re.compile(said))
        expect(line.get_by_role("link", name=link, exact=True)).to_be_visible()


def test_a_failing_name_says_with_what(server: ScriptedServer) -> None:
    cause = {"exception": "IntegrityError", "message_example": "duplicate key"}
    server.rest["api/v1/failures"] = {"failures": [cause]}
    tab = opened(server)
    line = tab.get_by_role("listitem").filter(has_text="billing.capture fails")
    expect(line).to_contain_text("IntegrityError: duplicate key")


def test_what_failed_lately_can_be_retried_from_the_overview(
    server: ScriptedServer,
) -> None:
    tab = opened(server)
    asked: list[Frame] = []
    preview: Frame = {"count": 19, "acts_on": 19, "skipped": {}, "more_names": 0}
    preview |= {"by_name": {"billing.capture": 19}, "reasons": [], "ran_again": 0}

    def answer(it: Route) -> None:
        asked.append(it.request.post_data_json or {})
        it.fulfill(json=preview)

    tab.route("**/api/v1/orders", answer)
    tab.get_by_role("button", name="Retry 19").click()
    sheet = tab.get_by_role("dialog", name="Retry many tasks")
    expect(sheet.get_by_role("heading")).to_contain_text("19 tasks")
    query, _, since = asked[0]["query"].partition(" finished:>")
    assert query == "name:billing.capture state:FAILURE"
    assert since.endswith("Z")


def test_a_link_to_failures_keeps_their_time(server: ScriptedServer) -> None:
    tab = opened(server)
    tab.get_by_role("link", name="Show 19").click()
    expect(tab).to_have_url(re.compile("state:FAILURE&at=5m"))


def test_a_problem_is_muted_and_shown_again(server: ScriptedServer) -> None:
    tab = opened(server)
    tab.get_by_role("button", name="Mute for 8 hours: 1 task lost").click()
    expect(tab.get_by_role("heading", name="4 things need you")).to_be_visible()
    tab.reload()
    expect(tab.get_by_role("heading", name="4 things need you")).to_be_visible()
    tab.get_by_role("button", name="Show 1 muted").click()
    expect(tab.get_by_role("heading", name="5 things need you")).to_be_visible()


def test_many_problems_of_a_kind_are_one(server: ScriptedServer) -> None:
    names = [f"q{n}" for n in range(40)]
    queues: list[Frame] = [
        {"id": q, "name": q, "depth": 2, "consumers": []} for q in names
    ]
    server.answers["queues"] = night.told(*queues)
    tab = opened(server)
    needs = tab.get_by_role("region", name="5 things need you")
    expect(needs).to_contain_text("40 queues without a consumer")
    expect(needs).to_contain_text("and 37 more")


def test_the_health_of_herald_is_behind_the_state_of_the_connection(
    server: ScriptedServer,
) -> None:
    tab = opened(server, "tasks")
    tab.get_by_role("button", name=re.compile("^Live")).click()
    health = tab.get_by_role("group", name="Health of Herald")
    expect(health).to_contain_text("1 gap, 14 missing, 9 repaired, closed")
    expect(health).to_contain_text("1 of 1 connected")


def test_a_quiet_system_is_said_to_have_no_known_problem(
    server: ScriptedServer,
) -> None:
    online = [one for one in night.WORKERS if one["state"] == "online"]
    server.answers["workers"] = night.told(*online)
    server.answers["queues"] = night.told()
    server.answers["counts"] = night.told({"id": "SUCCESS", "count": 7})
    counts: Frame = {"silent": 0, "long": 0, "lost": 0}
    server.rest["api/v1/overview"] = {
        **night.overview(),
        **{"failing": [], "suspects": [], "suspects_total": 0},
        "suspects_counts": counts,
    }
    tab = opened(server)
    expect(tab.locator("#system")).to_have_text("Nothing needs you")
    expect(tab.locator(".needs")).to_contain_text("2 workers online · 129 tasks/min")
    expect(tab.locator(".problems li")).to_have_count(0)


# -- what is cut says so ---------------------------------------------------------------


def test_a_group_is_at_99_percent_until_all_have_ended(server: ScriptedServer) -> None:
    tab = opened(server, "group/g1")
    done = tab.locator(".tile").first
    expect(done).to_contain_text("99 %")
    expect(done).to_contain_text("498 of 500")
    expect(done).to_contain_text("in progress")
    expect(tab.get_by_role("region", name="Tasks")).to_contain_text("4 of 500")


def test_a_group_of_unknown_size_is_never_all(server: ScriptedServer) -> None:
    tab = opened(server, "group/g2")
    done = tab.locator(".tile").first
    expect(done).to_contain_text("of ≥ 3,302")
    expect(done).to_contain_text("size not known")
    expect(done).not_to_contain_text("%")
    expect(tab.get_by_role("button", name="Cancel all")).to_be_visible()
    tab.goto(f"{ORIGIN}#/groups")
    rows = tab.get_by_role("region", name="Groups").locator("tbody tr")
    expect(rows.first).to_contain_text("99 %")
    expect(rows.nth(1)).to_contain_text("≥ 3,302")


def test_members_that_are_not_heard_of_may_run(server: ScriptedServer) -> None:
    known = {**night.GROUP, "finished": 100, "counts": {"SUCCESS": 100}}
    server.rest["api/v1/groups/g1"] = known
    tab = opened(server, "group/g1")
    tiles = tab.locator(".tile")
    expect(tiles.nth(2)).to_contain_text("not known")
    expect(tiles.nth(3)).to_contain_text("400")
    expect(tiles.nth(3)).to_contain_text("some may be running")


def test_a_phone_shows_every_digit_of_a_count(server: ScriptedServer) -> None:
    counts = [{"id": state, "count": 812_861} for state in night.COUNTS]
    server.answers["counts"] = night.told(*counts)
    server.page.set_viewport_size({"width": PHONE["width"], "height": PHONE["height"]})
    tab = opened(server, "tasks")
    expect(tab.locator(".count .number").nth(1)).to_have_text("812,861")
    for width in (390, 320):
        tab.set_viewport_size({"width": width, "height": PHONE["height"]})
        hidden = """() => [...document.querySelectorAll(".count")].filter((tile) => {
            const number = tile.querySelector(".number");
            const range = document.createRange();
            range.selectNodeContents(number);
            const text = range.getBoundingClientRect();
            const box = tile.getBoundingClientRect();
            const over = [...tile.querySelectorAll(".icon")].some((it) => {
                const sign = it.getBoundingClientRect();
                return sign.width && sign.right > text.left && sign.left < text.right
                    && sign.bottom > text.top && sign.top < text.bottom;
            });
            return over || text.left < box.left || text.right > box.right;
        }).length"""
        assert tab.evaluate(hidden) == 0


# -- a task ---------------------------------------------------------------------------


def test_why_a_task_was_lost_is_said_and_its_run_has_ended(
    server: ScriptedServer,
) -> None:
    reason = "worker mail@w1, which ran it, has been silent for 67 s"
    lost = {**night.LOST[0], "id": "r1", "state": "LOST", "reason": reason}
    runs = [{"attempt": 1, "state": "STARTED", "started_at": night.at(90)}]
    server.answers["page"] = night.told(lost)
    server.rest["api/v1/tasks/r1"] = {**lost, "attempts": runs}
    tab = opened(server, "task/r1")
    expect(tab.locator(".notice").first).to_contain_text(f"W{reason[1:]}.")
    expect(tab.locator(".attempts .state")).to_contain_text("1. Lost")
    expect(tab.locator(".attempt-timeline .going")).to_have_count(0)


def test_the_attempt_of_a_revoked_task_is_revoked(server: ScriptedServer) -> None:
    task = {"id": "r1", "name": "a.b", "state": "REVOKED", "final": True}
    task |= {"submitted_at": night.at(60), "finished_at": night.at(50)}
    server.answers["page"] = night.told(task)
    runs = [{"attempt": 1, "state": "PENDING"}]
    server.rest["api/v1/tasks/r1"] = {**task, "attempts": runs}
    tab = opened(server, "task/r1")
    expect(tab.locator(".attempts .state")).to_contain_text("1. Revoked")


def test_arguments_are_shown_before_a_task_runs_again(server: ScriptedServer) -> None:
    task = {"id": "r1", "name": "a.b", "state": "FAILURE", "final": True}
    task |= {"args": "(1,)", "kwargs": "{'order_id': 12, 'rows': [1, …"}
    server.answers["page"] = night.told(task)
    server.rest["api/v1/tasks/r1"] = {**task, "attempts": []}
    tab = opened(server, "task/r1")
    tab.get_by_role("button", name="Run again").click()
    again = tab.locator(".rerun")
    expect(again).to_contain_text("'order_id': 12")
    expect(again).to_contain_text("known only in part")
    again.get_by_role("textbox").fill("{nonsense")
    again.get_by_role("button", name="Yes").click()
    expect(tab.locator(".answer")).to_contain_text("Invalid keyword arguments")


def test_a_long_chain_is_drawn_flat(server: ScriptedServer) -> None:
    ids = ["r1", *(f"s{n}" for n in range(50))]
    steps: list[Frame] = [
        {"id": id_, "name": "a.b", "state": "SUCCESS", "root_id": "r1"} for id_ in ids
    ]
    for before, step in zip(ids, steps[1:], strict=False):
        step["parent_id"] = before
    tree = {"task_id": "r1", "root": "r1", "whole": True, "tasks": steps}
    server.rest["api/v1/tasks/r1/tree"] = tree
    tab = opened(server, "task/r1")
    drawn = tab.get_by_role("region", name="Task tree").locator(".task-tree > .step")
    expect(drawn).to_have_count(3)  # its own, the next, and the rest folded
    drawn.last.locator("summary").click()
    expect(drawn.last.get_by_role("link")).to_have_count(49)
    expect(tab.locator(".task-tree ul")).to_have_count(0)


# -- help, tokens ----------------------------------------------------------------------


def test_help_is_styled_on_the_first_screen(server: ScriptedServer) -> None:
    tab = opened(server)
    tab.keyboard.press("?")
    sheet = tab.locator("#help-dialog")
    expect(sheet).to_be_visible()
    assert sheet.evaluate("(it) => getComputedStyle(it).borderRadius") == "6px"
    columns = sheet.locator(".columns")
    assert columns.evaluate("(it) => getComputedStyle(it).display") == "grid"


@pytest.fixture
def tabs(chromium: Browser) -> Iterator[tuple[ScriptedServer, ScriptedServer]]:
    """Two tabs of one browser, of which none has a token yet."""
    context = chromium.new_context()
    with faultless(context) as first, faultless(context) as second:
        pair = ScriptedServer(first), ScriptedServer(second)
        for one in pair:
            night.begin(one)
        yield pair
    context.close()


def test_a_second_tab_gets_the_token_of_the_first(
    tabs: tuple[ScriptedServer, ScriptedServer],
) -> None:
    first, second = tabs
    opened(first)
    second.page.goto(f"{ORIGIN}#/task/r1")
    expect(second.page.locator("#connection")).to_have_text("Live")
    second.page.reload()
    expect(second.page.locator("#connection")).to_have_text("Live")


def test_a_token_may_be_for_one_tab_only(
    tabs: tuple[ScriptedServer, ScriptedServer],
) -> None:
    first, second = tabs
    first.page.goto(ORIGIN)
    first.page.get_by_label("Token", exact=True).fill("t0ken")
    first.page.get_by_label("Only for this tab").check()
    first.page.get_by_role("button", name="Open").click()
    expect(first.page.locator("#connection")).to_have_text("Live")
    second.page.goto(ORIGIN)
    expect(second.page.locator(".token-form")).to_be_visible()


def test_what_a_new_token_sees_is_chosen_in_words(server: ScriptedServer) -> None:
    tab = opened(server, "access")
    sees, name = tab.get_by_label("What it may read"), tab.get_by_label("Task names")
    expect(sees).to_have_value("all")
    expect(name).to_be_hidden()
    sees.select_option("only tasks named")
    expect(name).to_be_visible()
    expect(name).to_have_value("")
    tab.get_by_role("button", name="Create", exact=True).click()
    assert name.evaluate("(it) => it.validity.valueMissing")
    expect(tab.get_by_label("The new token")).to_be_hidden()
