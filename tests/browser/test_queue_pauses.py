"""Pausing a queue from where its problem is shown, and letting it go on."""

from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.support.browser import incident as night
from tests.support.browser.scripted_server import ORIGIN, Frame, ScriptedServer
from tests.support.environment import ROOT

pytestmark = pytest.mark.browser

ARTIFACTS = ROOT / ".ci" / "artifacts"
PAUSED: Frame = {"who": "ops", "since": night.at(5)}


@pytest.fixture
def server(scripted: ScriptedServer) -> ScriptedServer:
    """The page's server on a bad night."""
    night.begin(scripted)
    return scripted


def opened(server: ScriptedServer) -> Page:
    server.page.goto(f"{ORIGIN}#/overview?token=t0ken")
    expect(server.page.locator("#connection")).to_have_text("Live")
    return server.page


def problem(tab: Page, title: str) -> Locator:
    return tab.get_by_role("listitem").filter(has_text=title)


def told_to(server: ScriptedServer, queue: str, what: str, message: str) -> list[str]:
    """Answer an order for a queue; return what will have been asked."""
    asked: list[str] = []

    def answer(_: dict[str, str]) -> Frame:
        asked.append(f"{what} {queue}")
        return {"message": message}

    server.rest[f"api/v1/queues/{queue}/{what}"] = answer
    return asked


def pushed(server: ScriptedServer, **changes: Any) -> None:
    """Let the server tell of a change of the queue `billing`."""
    queue = next(one for one in night.QUEUES if one["name"] == "billing")
    put = [{"id": "billing", **queue, **changes}]
    server.send(type="data", id="queues", put=put, cursor="7-9")


def test_a_queue_is_paused_where_its_problem_is_shown_and_resumed(
    server: ScriptedServer,
) -> None:
    paused = told_to(server, "billing", "pause", "No worker consumes the queue.")
    resumed = told_to(server, "billing", "resume", "They consume it again.")
    tab = opened(server)
    line = problem(tab, "Queue billing: no consumer")
    line.get_by_role("button", name="Pause").click()
    line.get_by_role("button", name="Pause billing").click()
    said = tab.get_by_role("region", name="need you").get_by_role("status")
    expect(said).to_have_text("billing: No worker consumes the queue.")
    assert paused == ["pause billing"]
    pushed(server, paused=PAUSED)
    expect(line).to_have_count(0)
    note = problem(tab, "Queue billing is paused")
    expect(note).to_contain_text("by ops")
    expect(note).to_contain_text("1,284 messages waiting")
    tab.screenshot(path=ARTIFACTS / "page-paused.png")
    note.get_by_role("button", name="Resume").click()
    expect(said).to_have_text("billing: They consume it again.")
    assert resumed == ["resume billing"]


def test_the_queue_of_failing_tasks_is_found_and_paused(
    server: ScriptedServer,
) -> None:
    paused = told_to(server, "billing", "pause", "done")
    queues = ["billing", "slow", "billing"]
    server.rest["api/v1/tasks"] = {
        "tasks": [
            night.task(str(k), "billing.capture", "FAILURE", k, queue=queue)
            for k, queue in enumerate(queues)
        ]
    }
    tab = opened(server)
    line = problem(tab, "billing.capture fails")
    line.get_by_role("button", name="Pause queue").click()
    group = line.get_by_role("group", name="Pause a queue")
    expect(group.get_by_role("button")).to_have_text(
        ["Pause billing", "Pause slow", "No"]
    )
    expect(group.get_by_role("button", name="Pause billing")).to_be_focused()
    group.get_by_role("button", name="No").focus()
    pushed(server, depth=1_290)  # whatever is drawn again takes no focus
    expect(tab.get_by_text("1,290 messages waiting")).to_be_visible()
    expect(group.get_by_role("button", name="No")).to_be_focused()
    group.get_by_role("button", name="No").click()
    assert paused == []
    line.get_by_role("button", name="Pause queue").click()
    expect(group.get_by_role("button", name="Pause billing")).to_be_focused()
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("status").filter(has_text="billing: done")).to_be_visible()
    assert paused == ["pause billing"]


def test_a_queue_that_is_not_known_is_told(server: ScriptedServer) -> None:
    server.rest["api/v1/tasks"] = {"tasks": []}
    tab = opened(server)
    line = problem(tab, "billing.capture fails")
    line.get_by_role("button", name="Pause queue").click()
    expect(tab.get_by_text("The queue of these tasks is not known.")).to_be_visible()
