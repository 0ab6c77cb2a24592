"""What the page says of the system, of Herald, and of what it does not know."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.browser import night
from tests.browser.conftest import faultless
from tests.browser.scripted import ORIGIN, Frame, ScriptedServer

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
    expect(pill).to_have_text(re.compile(r"^No word for \d+ s$"), timeout=LONG_MS)
    expect(pill).to_have_attribute("data-tone", "warn")
    expect(lag).to_have_text(re.compile(r"^\d+\.\d s$"))
    before = lag.inner_text()
    expect(lag).not_to_have_text(before)
    expect(tab.locator("#verdict")).to_contain_text("No word from the server since")
    expect(tab.locator("#system")).to_contain_text("As of")
    expect(tab).to_have_title("No word · Overview · Herald")
    server.answers_pings = True
    expect(pill).to_have_text("Live", timeout=LONG_MS)


# -- the system, and Herald ------------------------------------------------------------


def test_the_system_is_judged_apart_from_herald(server: ScriptedServer) -> None:
    tab = opened(server)
    system, herald = tab.locator("#system"), tab.locator("#verdict")
    expect(system).to_have_text("5 problems")
    expect(tab.locator(".system")).to_have_attribute("data-tone", "bad")
    troubles = tab.locator(".troubles")
    for said in (
        "capture fails unusually often",
        "1 queue without a consumer",
        "1 worker silent",
        "1 task lost",
        "1 task runs unusually long",
    ):
        expect(troubles).to_contain_text(said)
    expect(tab.locator(".herald")).to_contain_text("Herald itself")
    size = "(it) => parseFloat(getComputedStyle(it).fontSize)"
    assert system.evaluate(size) > herald.evaluate(size)


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
    expect(tab.locator("#system")).to_have_text("No problem known")
    expect(tab.locator(".troubles li")).to_have_count(0)


# -- what is cut says so ---------------------------------------------------------------


def test_suspects_are_counted_before_they_are_cut(server: ScriptedServer) -> None:
    lost = [{"why": "lost", "task": {"id": f"l{n}", "name": "a.b"}} for n in range(50)]
    server.rest["api/v1/overview"] = {
        **night.overview(),
        "suspects": lost,
        "suspects_total": 100,
        "suspects_counts": {"lost": 100},
    }
    tab = opened(server)
    card = tab.get_by_role("region", name="Stuck and suspect")
    expect(card.locator(".word")).to_have_text("50 of 100")


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
    expect(tiles.nth(3)).to_contain_text("some of them may run")


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
            const over = [...tile.querySelectorAll(".shape")].some((it) => {
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
    expect(tab.locator(".lifeline .going")).to_have_count(0)


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
    again = tab.locator(".again")
    expect(again).to_contain_text("'order_id': 12")
    expect(again).to_contain_text("not known whole")
    again.get_by_role("textbox").fill("{nonsense")
    again.get_by_role("button", name="Yes").click()
    expect(tab.locator(".answer")).to_contain_text("no keyword arguments")


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
    expect(tab.locator(".family > .step")).to_have_count(51)
    expect(tab.locator(".family ul")).to_have_count(0)


# -- help, tokens ----------------------------------------------------------------------


def test_help_is_styled_on_the_first_screen(server: ScriptedServer) -> None:
    tab = opened(server)
    tab.keyboard.press("?")
    sheet = tab.locator("#sheet")
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
    expect(second.page.locator(".gate")).to_be_visible()


def test_what_a_new_token_sees_is_chosen_in_words(server: ScriptedServer) -> None:
    tab = opened(server, "access")
    sees, name = tab.get_by_label("What it may read"), tab.get_by_label("Task names")
    expect(sees).to_have_value("all")
    expect(name).to_be_hidden()
    sees.select_option("only tasks named")
    expect(name).to_be_visible()
    expect(name).to_have_value("")
    tab.get_by_role("button", name="Make it").click()
    assert name.evaluate("(it) => it.validity.valueMissing")
    expect(tab.get_by_label("The new token")).to_be_hidden()
