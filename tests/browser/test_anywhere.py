"""What is reached from every screen: the jump to anything, the account, notices."""

import re

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.support.browser import incident as night
from tests.support.browser.scripted_server import ORIGIN, ScriptedServer

pytestmark = pytest.mark.browser

NOTIFICATIONS = """() => {
    window.told = [];
    window.Notification = class {
        static permission = "default";
        static async requestPermission() { return (this.permission = "granted"); }
        constructor(title, options) { told.push([title, options.body]); }
        close() {}
    };
}"""


@pytest.fixture
def server(scripted: ScriptedServer) -> ScriptedServer:
    """The page's server on a bad night."""
    night.begin(scripted)
    return scripted


def opened(server: ScriptedServer, place: str = "overview") -> Page:
    server.page.goto(f"{ORIGIN}#/{place}?token=t0ken")
    expect(server.page.locator("#connection")).to_have_text("Live")
    return server.page


def type_into_go_to(tab: Page, text: str) -> Locator:
    """Open the dialog by Ctrl+K, and type once it has the focus; return it."""
    tab.keyboard.press("Control+k")
    box = tab.get_by_role("dialog", name="Go to")
    expect(box.get_by_role("combobox")).to_be_focused()
    tab.keyboard.type(text)
    return box


def test_anything_is_reached_by_ctrl_k(server: ScriptedServer) -> None:
    tab = opened(server)
    box = type_into_go_to(tab, "billing")
    expect(box.get_by_role("option").first).to_contain_text("tasks of the queue")
    tab.keyboard.press("Enter")
    expect(tab).to_have_url(re.compile(r"#/tasks\?q=queue:billing"))
    type_into_go_to(tab, "12345")
    tab.keyboard.press("Enter")
    expect(tab).to_have_url(re.compile(r"#/tasks\?q=12345"))
    type_into_go_to(tab, "reports@w3")
    tab.keyboard.press("Enter")
    expect(tab).to_have_url(re.compile(r"#/worker/reports%40w3$"))
    type_into_go_to(tab, "health")
    tab.keyboard.press("Enter")
    expect(tab.locator("#screen")).to_have_attribute("data-name", "health")


def test_the_account_says_who_is_signed_in_and_signs_out(
    server: ScriptedServer,
) -> None:
    tab = opened(server)
    tab.get_by_role("button", name="Account").click()
    account = tab.get_by_role("group", name="Who is signed in")
    expect(account).to_contain_text("owner")
    expect(account).to_contain_text("admin, read")
    account.get_by_role("button", name="Sign out").click()
    expect(tab.get_by_label("Token", exact=True)).to_be_visible()
    assert tab.evaluate("sessionStorage.length") == 0


def test_a_narrow_token_sees_its_screens_only(server: ScriptedServer) -> None:
    caller = {"name": "page", "scopes": ["read"], "narrowed": True}
    server.rest["api/v1/page"] = {"caller": caller, "links": []}
    tab = opened(server, "tasks")
    nav = tab.get_by_role("navigation", name="Screens")
    expect(nav.get_by_role("link")).to_have_count(1)
    expect(nav.get_by_role("link", name="Tasks")).to_be_visible()
    nav.get_by_role("button", name="More screens").click()
    expect(nav.get_by_role("link", name="Groups")).to_be_visible()
    expect(nav.get_by_role("link", name="Health")).to_have_count(0)


def test_notices_are_asked_for_by_a_click_only(
    server: ScriptedServer, context: BrowserContext
) -> None:
    server.page.add_init_script(f"({NOTIFICATIONS})()")
    server.page.goto(f"{ORIGIN}#/tasks?q=state:FAILURE&token=t0ken")
    tab = server.page
    expect(tab.locator("#connection")).to_have_text("Live")
    assert tab.evaluate("Notification.permission") == "default"
    tab.get_by_role("button", name="Notify me").click()
    expect(tab.get_by_role("button", name="Notices on")).to_be_visible()
    assert server.until_asked(1, "notices")["filter"] == {"state": ["FAILURE"]}
    server.send(type="data", id="notices", reset="new", put=[], cursor="7-1")
    new = [night.task(f"n{k}", "billing.capture", "FAILURE", 0) for k in range(3)]
    server.send(type="data", id="notices", put=new, cursor="7-2")
    assert until_told(tab) == [["3 tasks: state:FAILURE", "billing.capture"]]
    tab.get_by_role("button", name="Notices on").click()
    expect(tab.get_by_role("button", name="Notify me")).to_be_visible()


def until_told(tab: Page) -> object:
    for _ in range(600):
        if told := tab.evaluate("told"):
            return told
        tab.wait_for_timeout(50)
    raise AssertionError("no notice was shown")


def test_back_after_a_task_goes_back_at_once(server: ScriptedServer) -> None:
    tab = opened(server)
    tab.goto(f"{ORIGIN}#/tasks")
    tab.locator("#rows tr").first.click(position={"x": 300, "y": 10})
    expect(tab.locator("#panel")).to_be_visible()
    tab.keyboard.press("Escape")
    expect(tab.locator("#panel")).to_be_hidden()
    expect(tab).to_have_url(re.compile(r"#/tasks$"))
    tab.go_back()
    expect(tab).to_have_url(re.compile(r"#/overview"))
