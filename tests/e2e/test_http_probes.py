"""The HTTP door: probes, metrics, the page, and whatever leads nowhere."""

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.requests import Request
from starlette.responses import Response

from herald_core.model.monitors import OutboxView
from herald_server.api.dashboard import HEADERS, compute_version
from herald_server.api.observability import metrics
from herald_server.push.log.hub import TOPICS
from tests.support.clients.http import asking, refused
from tests.support.clients.websocket import connected
from tests.support.environment import ROOT
from tests.support.herald.server import serving
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = pytest.mark.anyio


@pytest.fixture
def url(module_valkey: PrivateValkey) -> str:
    return module_valkey.url


# -- probes and metrics ------------------------------------------------------------


async def test_the_process_lives_whatever_else(url: str) -> None:
    async with serving(url) as server, asking(server, {}) as ask:
        answer = await ask.get("/healthz")
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_it_is_ready_once_a_monitor_tells_the_truth(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(url) as server, asking(server, {}) as ask:
        refused(await ask.get("/readyz"), 503, "start one with `herald monitor`")
        await server.beat(connected=False)
        refused(await ask.get("/readyz"), 503, "no monitor is connected to the broker")
        await server.beat(connected=True)
        end = await server.store.read_end()
        await wait_until_async(lambda: server.app.state.shared.hub.pos == end)
        answer = await ask.get("/readyz")
        assert (answer.status_code, answer.json()) == (200, {"status": "ready"})
        monkeypatch.setattr("herald_server.push.log.log_reader.STALE_AFTER_S", 0.0)
        refused(await ask.get("/readyz"), 503, "the change log stands still")


async def test_a_store_that_is_away_is_said_everywhere(valkey: PrivateValkey) -> None:
    async with serving(valkey.url) as server, asking(server) as ask:
        valkey.kill()
        for path in ("/readyz", "/api/v1/tasks", "/api/v1/stats"):
            answer = await ask.get(path)
            refused(answer, 503, "does not answer")
        health = await ask.get("/api/v1/health")
        assert health.json()["status"] == "down"
        assert "does not answer" in health.json()["problem"]
        assert _samples((await ask.get("/metrics")).text)["herald_store_up"] == {"": 0}
        assert (await ask.get("/healthz")).status_code == 200


def _samples(text: str) -> dict[str, dict[str, float]]:
    """Return name → label values → value."""
    found: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = ",".join(sample.labels.values())
            found.setdefault(sample.name, {})[key] = sample.value
    return found


async def test_metrics_tell_of_the_process_the_store_and_the_monitors(url: str) -> None:
    async with serving(url) as server, asking(server) as ask:
        await server.tell("started", "hit")
        await server.tell("received", "miss")
        counters = {"events": 12, "dropped": 1, "not in the table": 7}
        outbox = OutboxView(connected=True, exists=True, unread=5, lag_ms=1_500)
        await server.beat(
            lag_ms=250, waiting=3, writers=2, counters=counters, outbox=outbox
        )
        async with connected(server) as client:
            journal = await client.subscribe()
            await wait_until_async(lambda: journal.cursor)
            answer = await ask.get("/metrics")
            found = _samples(answer.text)
        assert answer.headers["content-type"] == metrics.MEDIA_TYPE
        assert found["herald_connections"] == {"": 1}
        watchers = {**dict.fromkeys(TOPICS, 0), "tasks": 1}
        assert found["herald_watchers"] == watchers
        assert found["herald_frames_sent_total"][""] >= 3
        assert found["herald_bytes_sent_total"][""] > 500
        assert 0 <= found["herald_log_age_seconds"][""] < 10
        assert found["herald_store_up"] == {"": 1}
        assert found["herald_tasks"] == {"STARTED": 1, "RECEIVED": 1}
        assert found["herald_gaps_open"] == {"": 0}
        assert found["herald_monitor_connected"] == {"m1": 1}
        assert found["herald_monitor_lag_seconds"] == {"m1": 0.25}
        assert found["herald_monitor_waiting"] == {"m1": 3}
        assert found["herald_monitor_writers"] == {"m1": 2}
        assert found["herald_monitor_outbox_lag_seconds"] == {"m1": 1.5}
        assert found["herald_monitor_outbox_unread"] == {"m1": 5}
        assert found["herald_monitor_outbox_pending"] == {"m1": 0}
        assert found["herald_monitor_events_total"] == {"m1": 12}
        assert found["herald_monitor_dropped_total"] == {"m1": 1}
        assert "not in the table" not in answer.text
        assert "hit" not in answer.text, "no task is a label"


async def test_every_metric_is_in_the_reference(url: str) -> None:
    page = (ROOT / "server/docs/reference/metrics.md").read_text()
    async with serving(url) as server, asking(server) as ask:
        await server.beat()
        text = (await ask.get("/metrics")).text
    told = {f.name for f in text_string_to_metric_families(text)}
    rows = {line.split("`")[1] for line in page.splitlines() if line[:3] == "| `"}
    # Of a server with several environments, see test_environments.py.
    documented = {row.removesuffix("_total") for row in rows}
    assert told | {"herald_environment_up"} == documented


# -- everything else ---------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/nowhere", "/api", "/api/v1/nowhere", "/api/v1/", "/mcp/x", "/%2e%2e/x"]
)
async def test_what_leads_nowhere_says_so(url: str, path: str) -> None:
    async with serving(url) as server, asking(server) as ask:
        refused(await ask.get(path), 404, "there is nothing at /")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/api/v1/tasks", "GET, HEAD"),
        ("DELETE", "/api/v1/tasks/x", "GET, HEAD"),
        ("GET", "/api/v1/tasks/x/cancel", ""),
        ("POST", "/api/v1/stats", "GET, HEAD"),
        ("POST", "/healthz", "GET, HEAD"),
        ("POST", "/metrics", "GET, HEAD"),
        ("POST", "/", "GET, HEAD"),
    ],
)
async def test_a_method_that_does_not_fit_is_405(
    url: str, method: str, path: str, allowed: str
) -> None:
    async with serving(url) as server, asking(server) as ask:
        answer = await ask.request(method, path)
        if path.endswith("cancel"):
            # An id may hold slashes, so this asks for a task of that name.
            assert answer.status_code == 404
            return
        refused(answer, 405, f"{path} does not take {method}")
        assert set(allowed.split(", ")) <= set(answer.headers["allow"].split(", "))


async def test_head_is_get_without_a_body(url: str) -> None:
    async with serving(url) as server, asking(server) as ask:
        for path in ("/", "/healthz", "/api/v1/tasks", "/metrics"):
            answer = await ask.head(path)
            assert (answer.status_code, answer.content) == (200, b""), path


async def test_an_error_that_nobody_foresaw_is_a_problem_document_too(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(request: Request) -> Response:
        raise ZeroDivisionError("a secret of the inside")

    async with serving(url) as server, asking(server) as ask:
        server.app.router.add_route("/broken", broken)
        answer = await ask.get("/broken")
        refused(answer, 500, "its log says more")
        assert "secret" not in answer.text
        assert "ZeroDivisionError" in caplog.text


async def test_files_of_the_page_are_kept_by_their_version(url: str) -> None:
    async with serving(url) as server, asking(server, {}) as ask:
        file = "page/base/token.js"
        found = await ask.get(f"/dashboard/v/{compute_version()}/{file}")
        assert found.status_code == 200
        assert "immutable" in found.headers["cache-control"]
        assert found.text == (await ask.get(f"/dashboard/{file}")).text
        # A page of another version gets what there is, and does not keep it.
        other = await ask.get(f"/dashboard/v/0123456789ab/{file}")
        assert (other.status_code, other.text) == (200, found.text)
        assert other.headers["cache-control"] == "no-cache"
        missing = await ask.get(f"/dashboard/v/{compute_version()}/none.js")
        refused(missing, 404, "there is nothing at")
        assert "immutable" not in missing.headers.get("cache-control", "")


async def test_the_page_lets_nothing_in_from_elsewhere(url: str) -> None:
    async with serving(url) as server, asking(server, {}) as ask:
        for path in ("/", "/herald.js", "/dashboard/page/main.js"):
            answer = await ask.get(path)
            assert answer.status_code == 200, path
            for name, value in HEADERS.items():
                assert answer.headers[name] == value, (path, name)
        assert "text/html" in (await ask.get("/")).headers["content-type"]
        for path in ("/herald.js", "/dashboard/page/main.js"):
            kind = (await ask.get(path)).headers["content-type"]
            assert kind.startswith("text/javascript")
        policy = HEADERS["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        for path in ("/dashboard/none.js", "/dashboard/..%2fapp.py", "/dashboard/"):
            refused(await ask.get(path), 404, "there is nothing at")
