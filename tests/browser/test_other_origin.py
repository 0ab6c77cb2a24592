"""A page of another origin: it imports the client from Herald, and shows live tasks."""

import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.support.celery.default_project import Stranger
from tests.support.herald.process import HeraldProcess

pytestmark = pytest.mark.browser

PAGE = """<!doctype html>
<title>Another application</title>
<ul id="tasks"></ul>
<p id="counted"></p>
<p id="streamed"></p>
<script type="module">
const [herald, token] = location.hash.slice(1).split("|");
const { connect } = await import(herald + "herald.js");
const client = connect({ url: herald.replace("http", "ws") + "ws", token });
client.subscribe({ id: "all", filter: {} }, (tasks) => {
  const rows = [...tasks.items.values()].map((task) => {
    const row = document.createElement("li");
    row.dataset.id = task.id;
    row.textContent = task.state;
    return row;
  });
  document.getElementById("tasks").replaceChildren(...rows);
});
// Neither header is one that a page may send without asking first.
const headers = { Authorization: "Bearer " + token, "Last-Event-ID": "" };
const stats = await fetch(herald + "api/v1/stats", { headers });
document.getElementById("counted").textContent = "total" in await stats.json();
const stream = await fetch(herald + "events", { headers });
const { value } = await stream.body.getReader().read();
document.getElementById("streamed").textContent = value.length > 0;
</script>
"""


class _Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(PAGE.encode() if self.path == "/" else b"")

    def log_message(self, format: str, *args: object) -> None:
        del format, args


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    """The origin of an application that is not Herald's."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def herald(
    shop: Stranger, origin: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[HeraldProcess]:
    """`herald up` that lets the application in."""
    log: Path = tmp_path_factory.mktemp("origin") / "up.log"
    broker = shop.env["SHOP_BROKER"]
    up = HeraldProcess(
        log, "up", "--broker", broker, port=0, HERALD_ALLOWED_ORIGINS=origin
    )
    up.start()
    yield up
    up.stop()


def test_a_page_of_an_allowed_origin_shows_tasks_live(
    tab: Page,
    origin: str,
    herald_page_url: str,
    herald_token: str,
    submit_task: Callable[[str], str],
) -> None:
    tab.goto(f"{origin}/#{herald_page_url}|{herald_token}")
    expect(tab.locator("#counted")).to_have_text("true")
    expect(tab.locator("#streamed")).to_have_text("true")
    task = submit_task("succeeds")
    expect(tab.locator(f'[data-id="{task}"]')).to_have_text("SUCCESS")


def test_a_page_that_is_not_allowed_imports_nothing(
    tab: Page, origin: str, herald_page_url: str
) -> None:
    elsewhere = origin.replace("127.0.0.1", "localhost")
    tab.goto(f"{elsewhere}/empty")
    with pytest.raises(Exception, match="dynamically imported module"):
        tab.evaluate(
            "(url) => import(url).then(() => null)", f"{herald_page_url}herald.js"
        )
