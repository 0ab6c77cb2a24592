"""The screen Schedule: which periodic task did not run, in a glance."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import incident as night
from tests.support.browser.scripted_server import ORIGIN, ScriptedServer

pytestmark = pytest.mark.browser


@pytest.fixture
def schedule(night_page: ScriptedServer) -> Page:
    tab = night_page.page
    tab.goto(f"{ORIGIN}#/schedule")
    expect(tab.get_by_role("region", name="Periodic tasks")).to_be_visible()
    return tab


def test_each_periodic_task_has_its_last_and_next_run(schedule: Page) -> None:
    row = schedule.get_by_role("row", name=re.compile("hourly"))
    expect(row).to_contain_text("in 10 min")
    expect(row).to_contain_text("Success")
    expect(row.get_by_role("img")).to_have_attribute(
        "aria-label", re.compile("1 missed, 2 ok")
    )


def test_what_did_not_run_is_said_with_the_readers_times(schedule: Page) -> None:
    row = schedule.get_by_role("row", name=re.compile("nightly"))
    expect(row).to_contain_text("Missed")
    expect(row).to_contain_text("nothing was submitted within 30 s")
    expect(row).not_to_contain_text(night.at(3_600))


def test_a_learnt_schedule_is_confirmed_in_place(
    schedule: Page, night_page: ScriptedServer
) -> None:
    night_page.rest["api/v1/schedules/learnt-1/confirm"] = {"message": "It is judged."}
    row = schedule.get_by_role("row", name=re.compile("billing.collect"))
    expect(row).to_contain_text("learnt from 9 runs")
    row.get_by_role("button", name="Confirm").click()
    expect(schedule.locator(".said")).to_contain_text("It is judged.")


def test_a_missed_run_needs_a_person(
    schedule: Page, night_page: ScriptedServer
) -> None:
    missed = {**night.SCHEDULES[1], "muted": False}
    night_page.send(type="data", id="schedules", put=[missed], cursor="7-9")
    schedule.goto(f"{ORIGIN}#/overview")
    line = schedule.get_by_role("listitem").filter(has_text="nightly did not run")
    expect(line).to_be_visible()
    line.get_by_role("link", name="Schedule").click()
    expect(schedule).to_have_url(re.compile("#/schedule/app-2"))
