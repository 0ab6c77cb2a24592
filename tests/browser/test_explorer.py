"""A server with many tasks: the list has an end and stays where one reads, the page
is light, and gets through where WebSockets do not."""

import os
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.browser.main_thread import TRACED, longest_tasks
from tests.support.browser.tabs import faultless
from tests.support.browser.task_load import Rush, fill, pulse
from tests.support.herald.memory_server import TOKEN, LiveServer, live_server

pytestmark = pytest.mark.browser

MANY = 20_000
KB = 1_024

SIZES = """() => ["navigation", "resource"]
    .flatMap((type) => performance.getEntriesByType(type))
    .filter((entry) => entry.startTime < 7_500) // then the other screens are loaded
    .map((entry) => [entry.name, entry.decodedBodySize])"""
SENT = SIZES.replace("decodedBodySize", "encodedBodySize")
PAINTED = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
FRAMES = (
    "() => new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)))"
)


@pytest.fixture(scope="module")
def crowded() -> Iterator[LiveServer]:
    """A server that knows 20,000 tasks."""
    with live_server() as server:
        fill(server, MANY)
        monitor = pulse(server)
        yield server
        monitor.stop()


@pytest.fixture(scope="module")
def explorer(chromium: Browser, crowded: LiveServer) -> Iterator[Page]:
    """The list, live."""
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    with faultless(context) as page:
        yield opened(page, crowded)
    context.close()


def opened(tab: Page, server: LiveServer) -> Page:
    tab.goto(f"{server.url}#/tasks?token={TOKEN}")
    expect(tab.locator("#rows tr").first).to_be_visible()
    return tab


def to_end(tab: Page) -> None:
    tab.locator("#scroller").evaluate("(it) => it.scrollTo(0, it.scrollHeight)")


def top_row(tab: Page) -> tuple[str, float]:
    """Return the first row whose whole height can be seen, and where it stands."""
    tab.evaluate(FRAMES)
    found = tab.evaluate(
        """() => {
        const edge = document.querySelector(".list th").getBoundingClientRect();
        for (const row of document.querySelectorAll("#rows tr")) {
            const { top } = row.getBoundingClientRect();
            if (top >= edge.bottom) return [row.dataset.id, top];
        }
    }"""
    )
    return str(found[0]), float(found[1])


def test_all_of_20_000_tasks_can_be_scrolled_to(explorer: Page) -> None:
    word = explorer.locator("#list-summary")
    expect(word).to_have_text("newest 500 of 20,000")
    while re.match("newest", word.inner_text()):
        before = word.inner_text()
        to_end(explorer)
        expect(word).not_to_have_text(before)
    expect(word).to_have_text("20,000 tasks")
    to_end(explorer)
    expect(explorer.locator("#rows tr").last).to_have_attribute("data-id", "t000000")
    assert explorer.locator("#rows tr").count() < 60


def test_new_tasks_move_no_row_that_is_read(
    explorer: Page, crowded: LiveServer
) -> None:
    explorer.locator("#scroller").evaluate("(it) => it.scrollTo(0, 3210)")
    before = top_row(explorer)
    for k in range(3):
        crowded.tell("received", f"fresh{k}", name="shop.fresh")
    expect(explorer.locator("#newer")).to_have_text("↑ 3 newer")
    assert top_row(explorer) == before
    explorer.locator("#newer").click()
    expect(explorer.locator("#rows tr").first).to_have_attribute("data-id", "fresh2")


def test_the_keyboard_goes_beyond_what_is_in_view(explorer: Page) -> None:
    for _ in range(4):
        explorer.keyboard.press("PageDown")
    stands = explorer.locator("#rows tr[aria-current]")
    expect(stands.locator("a")).to_be_focused()
    chosen = stands.get_attribute("data-id")
    explorer.keyboard.press("Enter")
    expect(explorer.locator("#panel")).to_contain_text(str(chosen))
    explorer.keyboard.press("Escape")
    expect(explorer.locator("#panel")).to_be_hidden()
    expect(stands.locator("a")).to_be_focused()
    explorer.keyboard.press("g")
    explorer.keyboard.press("o")
    expect(explorer.locator("#system")).to_be_visible()
    explorer.keyboard.press("/")
    expect(explorer.locator("#filter")).to_be_focused()


def test_it_is_light_soon_there_and_asks_nobody_else(
    tab: Page, crowded: LiveServer
) -> None:
    """The overview: the first screen, and the heaviest."""
    tab.goto(f"{crowded.url}#/overview?token={TOKEN}")
    expect(tab.locator("#connection")).to_have_text("Live")
    expect(tab.locator("#screen .skeleton")).to_have_count(0)
    tab.wait_for_load_state("networkidle")
    sizes = dict(tab.evaluate(SIZES))
    own = [size for url, size in sizes.items() if "/api/" not in url]
    assert sum(own) < 240 * KB  # as they are; answers grow with what there is to tell
    sent = [size for url, size in tab.evaluate(SENT) if "/api/" not in url]
    assert 0 < sum(sent) < 100 * KB  # as they are sent, compressed
    assert {url for url in sizes if not url.startswith(crowded.url)} == set()
    assert min(_painted(tab, again=2)) < 1_000


def _painted(tab: Page, again: int) -> list[float]:
    """Return the milliseconds to the first paint: a busy machine may delay one."""
    took = [float(tab.evaluate(PAINTED))]
    for _ in range(again):
        tab.reload()
        expect(tab.locator("#connection")).to_have_text("Live")
        took.append(float(tab.evaluate(PAINTED)))
    return took


def test_where_websockets_are_blocked_it_listens_to_streams(
    tab: Page, crowded: LiveServer
) -> None:
    tab.route_web_socket(re.compile(r"/ws$"), lambda socket: socket.close(code=3000))
    tab.goto(f"{crowded.url}#/tasks?token={TOKEN}")
    expect(tab.locator("#connection-status")).to_contain_text("over HTTP")
    expect(tab.locator("#connection")).to_have_text("Live")
    row = tab.locator("#rows tr[data-id=streamed]")
    crowded.tell("received", "streamed", name="shop.late")
    expect(row).to_have_attribute("data-state", "RECEIVED")
    crowded.tell("started", "streamed")
    expect(row).to_have_attribute("data-state", "STARTED")
    expect(tab.locator(".count", has_text="Started")).to_contain_text("1")


def test_a_task_that_nobody_heard_of_says_so(
    explorer: Page, crowded: LiveServer
) -> None:
    explorer.evaluate("location.hash = '#/tasks?task=nobodys'")
    panel = explorer.locator("#panel")
    expect(panel.locator(".notice")).to_contain_text("received no event")
    crowded.tell("received", "nobodys", name="shop.late")
    expect(panel.locator(".state").first).to_have_text("Received")
    explorer.keyboard.press("Escape")


def test_a_refused_token_is_refused_over_streams_too(
    tab: Page, crowded: LiveServer
) -> None:
    tab.route_web_socket(re.compile(r"/ws$"), lambda socket: socket.close(code=3000))
    tab.goto(f"{crowded.url}#/tasks?token=wrong-wrong")
    expect(tab.locator("#token")).to_be_visible()


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("screen", ["overview", "tasks"])
def test_two_minutes_of_200_changes_a_second(chromium: Browser, screen: str) -> None:
    """No task of the main thread takes more than 50 ms of the processor."""
    with live_server() as server:
        fill(server, 5_000)
        monitor = pulse(server)
        page = chromium.new_page(viewport={"width": 1440, "height": 900})
        page.goto(f"{server.url}#/{screen}?token={TOKEN}")
        expect(page.locator("#connection")).to_have_text("Live")
        rush = Rush(server, 200)
        page.wait_for_timeout(15_000)  # all screens are loaded meanwhile
        chromium.start_tracing(page=page, categories=TRACED)
        page.wait_for_timeout(120_000)
        wall, own = longest_tasks(chromium.stop_tracing())
        rate = rush.rate
        rush.stop()
        monitor.stop()
        page.close()
    print(f"{screen}: {rate:.0f} changes/s, load {os.getloadavg()[0]:.0f}")
    print(f"longest tasks: {wall} ms, without waiting for the processor: {own} ms")
    assert rate > 150
    assert own[-1] < 50


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_100_000_tasks_and_500_changes_a_second(chromium: Browser) -> None:
    """Ten minutes of scrolling: no long task, and memory that does not grow."""
    with live_server() as server:
        fill(server, 100_000)
        page = chromium.new_page(viewport={"width": 1440, "height": 900})
        opened(page, server)
        monitor, rush = pulse(server), Rush(server, 500)
        sizes = [_scrolled(page) for _ in range(40)]
        chromium.start_tracing(page=page, categories=TRACED)
        _scrolled(page)  # tracing takes memory of its own
        wall, own = longest_tasks(chromium.stop_tracing())
        rate = rush.rate
        rush.stop()
        monitor.stop()
        page.close()
    print(f"{rate:.0f} changes/s, load {os.getloadavg()[0]:.0f}, heap MB {sizes}")
    print(f"longest tasks: {wall} ms, without waiting for the processor: {own} ms")
    assert rate > 480
    assert own[-1] < 200
    assert max(sizes[-10:]) < 1.1 * max(sizes[5:15])


def _scrolled(page: Page) -> float:
    """Scroll for 15 s, down and back to the top; return the heap in MB."""
    scroller = page.locator("#scroller")
    for step in range(70):
        scroller.evaluate("(it, by) => it.scrollBy(0, by)", 600 if step < 60 else -1e9)
        page.wait_for_timeout(200)
    page.request_gc()
    used = page.evaluate("performance.memory.usedJSHeapSize")
    return round(float(used) / 1e6, 1)
