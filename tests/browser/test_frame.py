"""The frame of the page: screens, the menu, and one time range that all links keep."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import incident as night
from tests.support.browser.scripted_server import ORIGIN, ScriptedServer

pytestmark = pytest.mark.browser


@pytest.fixture
def server(scripted: ScriptedServer) -> ScriptedServer:
    """The page's server on a bad night."""
    night.begin(scripted)
    return scripted


def opened(server: ScriptedServer, place: str = "overview") -> Page:
    separator = "&" if "?" in place else "?"
    server.page.goto(f"{ORIGIN}#/{place}{separator}token=t0ken")
    expect(server.page.locator("#connection")).to_have_text("Live")
    return server.page


def choose_range(tab: Page, name: str) -> None:
    tab.get_by_role("button", name=re.compile("^Time range")).click()
    tab.get_by_role("button", name=name, exact=True).click()


def test_screens_of_daily_use_are_in_the_navigation_and_the_rest_in_a_menu(
    server: ScriptedServer,
) -> None:
    tab = opened(server)
    nav = tab.get_by_role("navigation", name="Screens")
    for name in ("Now", "Tasks", "Queues", "Workers"):
        expect(nav.get_by_role("link", name=re.compile(f"^{name}"))).to_be_visible()
    expect(nav.get_by_role("link", name="Health")).to_have_count(0)
    nav.get_by_role("button", name="More screens").click()
    nav.get_by_role("link", name="Health").click()
    expect(tab.locator("#screen")).to_have_attribute("data-name", "health")
    expect(
        nav.get_by_role("button", name=re.compile("present: Health"))
    ).to_be_visible()


def test_the_menu_is_left_by_escape_with_the_focus_on_its_button(
    server: ScriptedServer,
) -> None:
    tab = opened(server)
    more = tab.get_by_role("button", name="More screens")
    more.focus()
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("link", name="Task types")).to_be_focused()
    tab.keyboard.press("Escape")
    expect(tab.get_by_role("link", name="Task types")).to_have_count(0)
    expect(more).to_be_focused()


def test_a_time_range_is_kept_by_every_link(server: ScriptedServer) -> None:
    tab = opened(server)
    choose_range(tab, "15 min")
    expect(tab).to_have_url(re.compile(r"at=15m"))
    tab.get_by_role("link", name=re.compile("^Queues")).first.click()
    expect(tab).to_have_url(re.compile(r"#/queues\?at=15m"))
    tab.get_by_role("link", name="Herald").click()
    expect(tab).to_have_url(re.compile(r"#/overview\?at=15m"))
    choose_range(tab, "Live")
    expect(tab).not_to_have_url(re.compile("at="))


def test_a_span_is_chosen_in_words_and_survives_a_reload(
    server: ScriptedServer,
) -> None:
    tab = opened(server)
    tab.get_by_role("button", name=re.compile("^Time range")).click()
    tab.get_by_role("textbox", name="From").fill("2026-11-22T02:00:00")
    tab.get_by_role("textbox", name="To").fill("2026-11-22T01:00:00")
    tab.get_by_role("button", name="Apply").click()
    expect(tab.get_by_role("alert")).to_contain_text("The end must be after the start")
    tab.get_by_role("textbox", name="To").fill("2026-11-22T02:30:00")
    tab.get_by_role("button", name="Apply").click()
    expect(tab).to_have_url(
        re.compile(re.escape("at=2026-11-22T02:00:00Z..2026-11-22T02:30:00Z"))
    )
    tab.reload()
    expect(tab.get_by_role("button", name=re.compile("^Time range"))).to_contain_text(
        "02:00:00 \N{EN DASH} 02:30"
    )


def test_a_range_that_cannot_be_read_is_live(server: ScriptedServer) -> None:
    tab = opened(server, "overview?at=yesterday")
    expect(tab.get_by_role("button", name="Time range: live")).to_be_visible()


EXAMPLE = """async () => {
    const base = "/dashboard/page/base";
    const { html } = await import(`${base}/view/preact.js`);
    const hooks = await import(`${base}/view/hooks.js`);
    const { ScreenContext } = await import(`${base}/context/screen-context.js`);
    const { Live } = await import(`${base}/context/live.js`);
    const { connect } = await import("/dashboard/herald/client.js");
    const client = connect({ url: "ws://herald.test/ws", token: "t" });
    const context = new ScreenContext(client, new Live(client),
        { screen: "example", arg: "", params: {} });
    const place = document.body.appendChild(document.createElement("div"));
    place.id = "example";
    const View = () => {
        const { value, error } = hooks.usePoll("api/v1/example");
        const tasks = hooks.useSubscription({ id: "mine", filter: {} });
        const names = [...tasks.items.values()].map(({ name }) => name);
        const lines = names.map((name) => html`<li>${name}</li>`);
        return html`<p>${error?.message ?? value?.text}</p><ul>${lines}</ul>`;
    };
    hooks.showView(place, context, View);
    window.end = () => context.end();
}"""


def test_a_screen_is_written_with_hooks(server: ScriptedServer) -> None:
    tab = opened(server)
    evil = "<img src=x onerror=\"document.title='owned'\">"
    server.rest["api/v1/example"] = {"text": evil}
    server.answers["mine"] = night.told({"id": "a", "name": evil})
    tab.evaluate(EXAMPLE)
    example = tab.locator("#example")
    expect(example.locator("p")).to_have_text(evil)
    expect(example.locator("li")).to_have_text(evil)
    server.send(type="data", id="mine", put=[{"id": "b", "name": "b.c"}], cursor="7-2")
    expect(example.locator("li")).to_have_count(2)
    tab.evaluate("end()")
    expect(example.locator("p")).to_have_count(0)
