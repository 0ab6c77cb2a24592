"""The page on a real server with real workers, as an operator uses it.

Wants three fixtures: `herald_page_url` (a base URL, with a slash at its end),
`herald_token`, and `submit_task`, which sends a real task that `"succeeds"`,
`"fails"` or `"runs"` (until it is canceled) and returns its id.
"""

import re
from collections.abc import Callable
from typing import Literal
from urllib.parse import quote

import pytest
from playwright.sync_api import Locator, Page, WebSocketRoute, expect

from tests.support.herald.process import HeraldProcess

pytestmark = pytest.mark.browser

Submit = Callable[[Literal["succeeds", "fails", "runs"]], str]


@pytest.fixture
def live(tab: Page, herald_page_url: str, herald_token: str) -> Page:
    """The page, open and live."""
    tab.goto(f"{herald_page_url}#/tasks?token={quote(herald_token, safe='')}")
    expect(tab.locator("#connection")).to_have_text("Live")
    return tab


def row(page: Page, task_id: str) -> Locator:
    return page.locator(f'#rows tr[data-id="{task_id}"]')


def search(page: Page) -> Locator:
    return page.get_by_role("combobox", name="Search tasks")


def conditions(page: Page) -> Locator:
    return page.get_by_role("list", name="Conditions").get_by_role("listitem")


def test_the_token_leaves_the_address_bar(live: Page, herald_token: str) -> None:
    assert herald_token not in live.evaluate("decodeURIComponent(location.href)")
    live.reload()
    expect(live.locator("#connection")).to_have_text("Live")


def test_a_task_appears_and_ends_without_a_reload(
    live: Page, submit_task: Submit
) -> None:
    task = submit_task("succeeds")
    expect(row(live, task).locator(".state")).to_have_text("Success")


def test_the_overview_tells_of_the_project(live: Page, submit_task: Submit) -> None:
    task = submit_task("runs")
    live.get_by_role("link", name="Now").click()
    running = live.get_by_role("region", name="Running")
    expect(running.locator(f"tr[data-key='{task}']")).to_contain_text("shop.pack")
    queues = live.get_by_role("region", name="Queues")
    expect(queues.locator("tbody tr").first).to_contain_text("celery")
    expect(live.locator("#verdict")).to_contain_text("Fresh")
    expect(live.locator(".chart-picture rect").first).to_be_attached()


def test_a_failure_shows_its_exception_and_traceback(
    live: Page, submit_task: Submit
) -> None:
    task = submit_task("fails")
    expect(row(live, task).locator(".state")).to_have_text("Failure")
    row(live, task).click()
    panel = live.locator("#panel")
    expect(panel.locator(".failure")).not_to_be_empty()
    traceback = panel.get_by_role("group", name="Traceback")
    expect(traceback).to_contain_text("Traceback")
    expect(panel.locator(".attempts li")).to_have_count(1)


def test_the_filter_is_the_servers_and_stays_in_the_address(
    live: Page, submit_task: Submit
) -> None:
    good, bad = submit_task("succeeds"), submit_task("fails")
    expect(row(live, good).locator(".state")).to_have_text("Success")
    live.get_by_role("button", name=re.compile("Failure")).click()
    expect(conditions(live)).to_have_text(re.compile("^state:FAILURE"))
    expect(row(live, bad)).to_be_visible()
    expect(row(live, good)).to_have_count(0)
    live.reload()
    expect(row(live, bad)).to_be_visible()
    expect(conditions(live)).to_have_text(re.compile("^state:FAILURE"))


def test_a_task_leaves_a_filter_that_it_no_longer_fits(
    live: Page, submit_task: Submit
) -> None:
    task = submit_task("runs")
    search(live).fill("state:STARTED")
    live.keyboard.press("Enter")
    expect(row(live, task)).to_be_visible()
    cancel(live, task)
    expect(row(live, task)).to_have_count(0)


def test_a_running_task_ticks_and_is_canceled_with_an_answer(
    live: Page, submit_task: Submit
) -> None:
    task = submit_task("runs")
    runtime = row(live, task).locator(".c-run")
    expect(runtime).to_have_text(re.compile("^[1-9] s$"))
    expect(runtime).not_to_have_text(runtime.inner_text())
    cancel(live, task)
    expect(live.locator("#panel .answer")).to_contain_text("revoked")
    expect(row(live, task).locator(".state")).to_have_text("Revoked")


def cancel(page: Page, task_id: str) -> None:
    row(page, task_id).click()
    page.get_by_role("button", name="Cancel task …").click()
    page.get_by_role("button", name="Yes, cancel it").click()


def test_the_keyboard_is_enough(live: Page, submit_task: Submit) -> None:
    first = submit_task("succeeds")
    expect(row(live, first).locator(".state")).to_have_text("Success")
    live.keyboard.press("/")
    expect(search(live)).to_be_focused()
    live.keyboard.type(first)
    live.keyboard.press("Enter")
    expect(live.locator("#rows tr")).to_have_count(1)
    live.keyboard.press("ArrowDown")
    live.keyboard.press("Enter")
    expect(live.locator("#panel")).to_contain_text(first)
    live.keyboard.press("Escape")
    expect(live.locator("#panel")).to_be_hidden()
    live.keyboard.press("?")
    expect(live.get_by_role("dialog", name="Keyboard and search")).to_be_visible()


def test_the_id_can_be_copied(live: Page, submit_task: Submit) -> None:
    task = submit_task("succeeds")
    row(live, task).click()
    live.get_by_role("button", name="Copy id").click()
    expect(live.get_by_role("button", name="Copied")).to_be_visible()
    assert live.evaluate("navigator.clipboard.readText()") == task


def test_nothing_is_missed_while_the_connection_was_lost(
    tab: Page, herald_page_url: str, herald_token: str, submit_task: Submit
) -> None:
    """The tasks that ended meanwhile are shown as they ended, from the cursor."""
    through: list[WebSocketRoute] = []

    def pass_on(socket: WebSocketRoute) -> None:
        socket.connect_to_server()
        through.append(socket)

    tab.route_web_socket(re.compile(r"/ws$"), pass_on)
    tab.goto(f"{herald_page_url}#/tasks?token={quote(herald_token, safe='')}")
    before = submit_task("succeeds")
    expect(row(tab, before).locator(".state")).to_have_text("Success")
    through[-1].close(code=4013, reason="behind")
    meanwhile = [submit_task("succeeds"), submit_task("fails")]
    expect(row(tab, meanwhile[0]).locator(".state")).to_have_text("Success")
    expect(row(tab, meanwhile[1]).locator(".state")).to_have_text("Failure")
    expect(row(tab, before)).to_have_count(1)
    assert len(through) >= 2


def test_a_wrong_token_is_refused_with_a_form(tab: Page, herald_page_url: str) -> None:
    tab.goto(f"{herald_page_url}#token=wrong")
    expect(tab.locator("#token")).to_be_visible()


def test_after_a_restart_it_is_live_and_right_again(
    live: Page, herald: HeraldProcess, submit_task: Submit
) -> None:
    before = submit_task("succeeds")
    expect(row(live, before).locator(".state")).to_have_text("Success")
    herald.stop()
    expect(live.locator("#connection")).not_to_have_text("Live")
    herald.start()
    expect(live.locator("#connection")).to_have_text("Live", timeout=5_000)
    stats = herald.get("api/v1/stats")
    counts = live.locator(".count")
    expect(counts.first).to_contain_text(f"{stats['total']:,}")
    for state, n in stats["counts"].items():
        button = counts.filter(has_text=state.capitalize())
        expect(button.locator(".number")).to_have_text(f"{n:,}")
    expect(row(live, before).locator(".state")).to_have_text("Success")
    after = submit_task("fails")
    expect(row(live, after).locator(".state")).to_have_text("Failure")


SCREENS = (
    *("overview", "errors", "groups", "workers", "queues", "schedule", "types"),
    *("webhooks", "access", "health", "task/x", "worker/x", "type/x", "group/x"),
)


def test_without_its_server_no_screen_breaks(live: Page, herald: HeraldProcess) -> None:
    herald.stop()
    expect(live.locator("#connection")).not_to_have_text("Live")
    for screen in SCREENS:
        live.evaluate("(to) => { location.hash = to }", f"#/{screen}")
        name = screen.split("/")[0]
        expect(live.locator(f"#screen[data-name={name}]")).to_be_visible()
        live.wait_for_load_state("networkidle")
    herald.start()
    expect(live.locator("#connection")).to_have_text("Live", timeout=30_000)


def to_task(page: Page, task_id: str) -> None:
    page.evaluate("(to) => { location.hash = to }", f"#/task/{task_id}")
    expect(page.locator("#screen[data-name=task] p.id").first).to_have_text(task_id)


def test_a_task_has_a_page_and_is_run_again_from_it(
    live: Page, submit_task: Submit
) -> None:
    task = submit_task("fails")
    to_task(live, task)
    head = live.get_by_role("region", name="Task", exact=True)
    expect(head.locator(".state")).to_contain_text("Failure")
    expect(live.locator(".attempt-timeline .run")).to_have_count(1)
    live.get_by_role("button", name="Read the whole result").click()
    expect(live.get_by_role("region", name="Values")).to_contain_text("From the")
    live.get_by_role("button", name="Run again …").click()
    live.get_by_role("button", name="Yes, run it again").click()
    live.get_by_role("link", name="Open the new run").click()
    expect(head.locator("p.id")).not_to_have_text(task)
    expect(head.locator(".state")).to_contain_text("Failure")


def test_a_task_says_why_it_is_not_done(live: Page, submit_task: Submit) -> None:
    to_task(live, submit_task("runs"))
    live.get_by_role("button", name="Why is it not done?").click()
    expect(live.locator(".answer")).to_contain_text("It has run for")
    live.get_by_role("navigation").get_by_role("link", name="Workers").click()
    expect(live.get_by_role("region", name="Workers")).to_contain_text("1 of 1 online")
    live.get_by_role("button", name="More screens").click()
    live.get_by_role("link", name="Access").click()
    live.get_by_role("button", name="Create", exact=True).click()
    made = live.locator("#screen[data-name=access] pre")
    expect(made).to_contain_text("eyJ")
    live.get_by_role("button", name="Revoke").first.click()
    expect(live.locator(".answer").last).to_contain_text("Token revoked.")
