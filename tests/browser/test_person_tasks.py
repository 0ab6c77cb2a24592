"""What a person on duty is asked, each in a few clicks from the first screen, on a real
Celery project: found, understood, acted upon.

The long form has 100,000 tasks, and holds each to twenty seconds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.browser.night_shift import (
    CLOCK,
    FAILED,
    ORDER,
    PENDING,
    QUIET_QUEUE,
    WORKER,
    NightShift,
)
from tests.support.browser.person import Person
from tests.support.browser.tabs import faultless
from tests.support.herald.process import TOKEN
from tests.support.servers.redis import private_valkey
from tests.support.wait import wait_until

pytestmark = [
    pytest.mark.browser,
    pytest.mark.celery,
    pytest.mark.xdist_group("person_tasks"),
]

MOST_ACTIONS = 6
MOST_SECONDS = 20
MANY = pytest.param(100_000, marks=pytest.mark.soak, id="100,000 tasks")


@pytest.fixture(scope="module", params=[pytest.param(1_000, id="1,000 tasks"), MANY])
def night(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[NightShift]:
    """The project, its worker, Herald, and a day of tasks."""
    with private_valkey() as server:
        place = tmp_path_factory.mktemp("night")
        shift = NightShift(place, server.url, request.param)
        try:
            shift.start()
            yield shift
        finally:
            shift.stop()


@pytest.fixture
def person(
    chromium: Browser, night: NightShift, request: pytest.FixtureRequest
) -> Iterator[Person]:
    """Somebody who has opened the page, and does what the test asks in few actions."""
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(15_000)
    with faultless(context) as tab:
        tab.goto(f"{night.url}#token={TOKEN}")
        expect(tab.locator("#connection")).to_have_text("Live")
        expect(tab.locator("#screen .skeleton")).to_have_count(0)
        someone = Person(tab)
        yield someone
        print(f"{request.node.originalname}: {someone.describe()}")
        assert someone.actions <= MOST_ACTIONS
        if "100,000" in request.node.name:
            assert someone.seconds < MOST_SECONDS
    context.close()


def search(person: Person, text: str) -> Page:
    """Open the list of tasks, and search it."""
    person.go("Tasks")
    person.click(person.tab.get_by_role("combobox", name="Search tasks"))
    person.type(text)
    person.press("Enter")
    return person.tab


def test_the_task_of_an_order_is_found(person: Person) -> None:
    tab = search(person, str(ORDER))
    row = tab.locator("#rows tr")
    expect(row).to_have_count(1)
    expect(row).to_contain_text(str(ORDER))
    person.click(row)
    expect(tab.locator("#panel")).to_contain_text(f"order-{ORDER}")


def open_causes(person: Person) -> None:
    """Open the causes of the failures of the last ten minutes."""
    person.go("Errors")
    person.click(person.tab.get_by_role("button", name=re.compile("^Time range")))
    person.click(person.tab.get_by_role("button", name="10 min", exact=True))
    expect(person.tab.locator(".causes > li")).to_have_count(2)


def test_the_exception_behind_most_failures_is_told(person: Person) -> None:
    open_causes(person)
    first = person.tab.locator(".causes > li").first
    expect(first).to_contain_text("psycopg.errors.UniqueViolation")
    expect(first).to_contain_text("shop/billing.py")
    expect(first.locator(".number")).to_have_text(str(FAILED))


def test_exactly_these_failures_are_retried(person: Person, night: NightShift) -> None:
    open_causes(person)
    first = person.tab.locator(".causes > li").first
    person.click(first.get_by_role("button", name="Retry"))
    sheet = person.tab.get_by_role("dialog", name="Retry many tasks")
    person.click(sheet.get_by_role("button", name=f"Retry {FAILED} tasks"))
    corner = person.tab.get_by_role("complementary", name="Orders")
    expect(corner).to_contain_text(f"{FAILED} sent")
    [order] = night.herald.get("api/v1/orders")["orders"]
    reruns = night.herald.tasks(tag=order["details"]["tag"])
    assert len(reruns) == FAILED
    assert {one["args"].split()[0] for one in reruns.values()} == {"('dup"}


def test_p95_before_and_after_a_deploy_is_compared(person: Person) -> None:
    person.go("Task types")
    person.click(person.tab.get_by_role("link", name="charge").first)
    row = person.tab.locator(".before-after").get_by_role("row", name="p95")
    expect(row.locator("td").nth(0)).to_contain_text(re.compile(r"≈ (1\.0\d?|1) s|ms"))
    expect(row.locator("td").nth(1)).to_contain_text(re.compile(r"≈ 4\.\d s"))
    expect(person.tab.locator(".before-after .verdict")).to_contain_text("deploy 4f1c")


def test_what_a_worker_did_at_night_is_told(person: Person) -> None:
    person.go("Workers")
    person.click(person.tab.get_by_role("link", name=WORKER))
    person.click(person.tab.get_by_role("textbox", name="Time of the day"))
    person.type(CLOCK)
    person.press("Enter")
    runs = person.tab.get_by_role("table", name="Runs")
    expect(runs.get_by_role("row")).to_have_count(2)  # one is the head
    expect(runs).to_contain_text(f"{CLOCK}:20")


def test_which_periodic_task_did_not_run_is_on_the_first_screen(person: Person) -> None:
    line = person.tab.get_by_role("listitem").filter(has_text="nightly-invoices")
    expect(line).to_contain_text("did not run")
    person.click(line.get_by_role("link", name="Schedule"))
    row = person.tab.get_by_role("row", name=re.compile("nightly-invoices"))
    expect(row).to_contain_text("Missed")


def test_all_pending_of_one_name_are_stopped(person: Person, night: NightShift) -> None:
    night.send_pending()
    tab = search(person, "pending name:shop.pack")
    expect(tab.locator("#rows tr")).to_have_count(PENDING)
    person.click(tab.get_by_role("button", name="Cancel all"))
    sheet = tab.get_by_role("dialog", name="Cancel many tasks")
    person.click(sheet.get_by_role("button", name=f"Cancel {PENDING} tasks"))
    corner = tab.get_by_role("complementary", name="Orders")
    expect(corner).to_contain_text(f"Cancel of {PENDING} tasks")
    expect(corner).to_contain_text(re.compile("done|ended"))
    # A worker that takes them now runs none of them.
    night.app.control.add_consumer(QUIET_QUEUE, reply=True)
    found = wait_until(
        lambda: night.herald.tasks(name="shop.pack"),
        30,
        accept=lambda all_: all(one["state"] == "REVOKED" for one in all_.values()),
    )
    assert len(found) == PENDING


def test_a_queue_is_paused_and_goes_on(person: Person, night: NightShift) -> None:
    person.go("Queues")
    table = person.tab.get_by_role("table", name="Queues")
    row = table.get_by_role("row", name=re.compile("^celery "))
    person.click(row.get_by_role("button", name="Pause"))
    person.click(row.get_by_role("button", name="Yes, pause it"))
    expect(row.get_by_role("button", name="Resume")).to_be_visible()
    wait_until(lambda: not night.consumes("celery"), 30)
    person.click(row.get_by_role("button", name="Resume"))
    wait_until(lambda: night.consumes("celery"), 30)
    expect(row.get_by_role("button", name="Pause")).to_be_visible()
