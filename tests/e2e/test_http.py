"""The HTTP door: every route, and every way to be turned away, on a real server."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.requests import Request
from starlette.responses import Response
from tests.project import make_app
from tests.servers import PrivateValkey
from tests.serving import TOKEN, Server, connected, serving, until

from herald_monitor.model.codec import to_json
from herald_monitor.model.workers import parse_worker
from herald_monitor.store import Gap
from herald_server import metrics
from herald_server.auth import Identity, Tokens
from herald_server.http import MAX_BODY
from herald_server.pages import HEADERS

pytestmark = pytest.mark.anyio

PROBLEM = "application/problem+json"
WITH_TOKEN = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def url(module_valkey: PrivateValkey) -> str:
    return module_valkey.url


@asynccontextmanager
async def asking(
    server: Server, headers: dict[str, str] | None = None
) -> AsyncGenerator[httpx2.AsyncClient]:
    """Ask `server`, with a token if nothing else is said."""
    given = WITH_TOKEN if headers is None else headers
    async with httpx2.AsyncClient(
        base_url=server.url, headers=given, trust_env=False
    ) as client:
        yield client


def refused(answer: httpx2.Response, status: int, sentence: str) -> None:
    """Check that an answer is a problem document that says `sentence`."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == PROBLEM
    body = answer.json()
    assert body.keys() == {"type", "title", "status", "detail"}
    assert (body["type"], body["status"]) == ("about:blank", status)
    assert sentence in body["detail"]


READS = (
    "/api/v1/tasks",
    "/api/v1/tasks/some-id",
    "/api/v1/workers",
    "/api/v1/stats",
    "/api/v1/health",
    "/metrics",
)


# -- who may ------------------------------------------------------------------------


async def test_without_a_token_there_is_nothing_to_see(url: str) -> None:
    wrong: list[dict[str, str]] = [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Cookie": f"token={TOKEN}"},
    ]
    async with serving(url) as server:
        for headers in wrong:
            async with asking(server, headers) as ask:
                for path in (*READS, "/api/v1/nowhere", "/mcp"):
                    answer = await ask.get(path)
                    refused(answer, 401, "Authorization: Bearer TOKEN")
                    assert answer.headers["www-authenticate"].startswith("Bearer")
                for path in ("/api/v1/tasks", "/api/v1/tasks/x/cancel"):
                    refused(await ask.post(path), 401, "a valid token is needed")
        async with asking(server, {}) as ask:
            answer = await ask.get("/api/v1/stats", params={"token": TOKEN})
            refused(answer, 401, "a valid token is needed")


async def test_a_token_opens_only_what_its_scopes_say(url: str) -> None:
    async with serving(url) as server:
        _let_in(server, "may-only-start", "start")
        _let_in(server, "may-only-read", "read")
        async with asking(server, {"Authorization": "Bearer may-only-start"}) as ask:
            for path in READS:
                refused(await ask.get(path), 403, "this token lacks the scope read")
        async with asking(server, {"Authorization": "Bearer may-only-read"}) as ask:
            assert (await ask.get("/api/v1/stats")).status_code == 200
            for path, scope in (("", "start"), ("/x/cancel", "cancel")):
                answer = await ask.post(f"/api/v1/tasks{path}", json={})
                refused(answer, 403, f"this token lacks the scope {scope}")
        async with connected(server, "may-only-start") as client:
            assert await client.closed() == (4403, "this token may not read")


def _let_in(server: Server, token: str, *scopes: str) -> None:
    """Let `server` know one more token."""
    known: Tokens = next(
        middleware.kwargs["tokens"] for middleware in server.app.user_middleware
    )
    more = Tokens({token: Identity(token, frozenset(scopes))})
    vars(known)["_known"] += vars(more)["_known"]


async def test_foreign_hosts_and_pages_are_turned_away_everywhere(url: str) -> None:
    async with serving(url) as server, asking(server) as ask:
        for path in ("/", "/healthz", "/api/v1/stats", "/mcp", "/dashboard/x"):
            answer = await ask.get(path, headers={"Host": "evil.example"})
            refused(answer, 421, "HERALD_ALLOWED_HOSTS")
            for origin in ("https://evil.example", "null", "http://[::1"):
                answer = await ask.get(path, headers={"Origin": origin})
                refused(answer, 403, "HERALD_ALLOWED_ORIGINS")


async def test_allowed_hosts_and_pages_are_let_in(url: str) -> None:
    allowed = {
        "allowed_hosts": "herald.example",
        "allowed_origins": "https://a.example",
    }
    headers = {"Host": "herald.example:99", "Origin": "https://a.example"}
    async with serving(url, **allowed) as server, asking(server) as ask:
        answer = await ask.get("/api/v1/stats", headers=headers)
        assert answer.status_code == 200


# -- tasks --------------------------------------------------------------------------


ABOUT: dict[str, Any] = {
    "name": "mail.send",
    "queue": "fast",
    "root_id": "tree",
    "parent_id": "mother",
    "group_id": "team",
    "tags": ("red",),
    "host": "client",
}


async def _two_tasks(server: Server) -> None:
    await server.tell("sent", "hit", **ABOUT)
    await server.tell("sent", "miss", name="other", host="client")
    await server.tell("started", "hit")
    await server.tell("received", "miss", host="w2@h")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["miss", "hit"]),
        ("ids=hit", ["hit"]),
        ("ids=hit,miss", ["miss", "hit"]),
        ("ids=hit&ids=miss", ["miss", "hit"]),
        ("name=mail.*", ["hit"]),
        ("state=started", ["hit"]),
        ("state=STARTED,RECEIVED", ["miss", "hit"]),
        ("worker=w1@*", ["hit"]),
        ("queue=fast", ["hit"]),
        ("root=tree", ["hit"]),
        ("parent=mother", ["hit"]),
        ("group=team", ["hit"]),
        ("tag=red", ["hit"]),
        ("tag=red&state=FAILURE", []),
        ("name=", ["miss", "hit"]),
        ("limit=1", ["miss"]),
    ],
)
async def test_tasks_are_found_by_every_key(
    url: str, query: str, found: list[str]
) -> None:
    async with serving(url) as server, asking(server) as ask:
        await _two_tasks(server)
        answer = await ask.get(f"/api/v1/tasks?{query}")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json"
        assert [task["id"] for task in answer.json()["tasks"]] == found


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("stat=X", "unknown key 'stat'; did you mean 'state'?"),
        ("nonsense=X", "unknown key 'nonsense'; keys are ids, name"),
        ("state=DONE", "unknown state 'DONE'"),
        ("limit=0", "limit must be a whole number from 1 to 1000"),
        ("limit=1001", "limit must be a whole number"),
        ("limit=x", "limit must be a whole number"),
        ("limit=%C2%B2", "limit must be a whole number"),
        ("limit=" + "9" * 5_000, "limit must be a whole number"),
        ("page=x", "'x' is no page token; pass back the `next` of a page"),
        ("after=yesterday", "after must be an RFC 3339 time such as"),
        ("before=7", "before must be an RFC 3339 time such as"),
        ("before=2026-01-31T12:00:00", "before must be an RFC 3339 time such as"),
        ("after=2026-99-31T12:00:00Z", "after must be an RFC 3339 time such as"),
        ("name=" + "x" * 513, "a value of name is over 512 characters"),
    ],
)
async def test_a_query_that_cannot_be_meant_gets_a_sentence(
    url: str, query: str, sentence: str
) -> None:
    async with serving(url) as server, asking(server) as ask:
        refused(await ask.get(f"/api/v1/tasks?{query}"), 400, sentence)


async def test_all_pages_together_have_each_task_once(url: str) -> None:
    async with serving(url) as server, asking(server) as ask:
        ids = [f"t{i}" for i in range(25)]
        for id_ in ids:
            await server.tell("received", id_)
        found: list[str] = []
        query: dict[str, Any] = {"limit": 7, "state": "RECEIVED"}
        while True:
            body = (await ask.get("/api/v1/tasks", params=query)).json()
            found += [task["id"] for task in body["tasks"]]
            if "next" not in body:
                break
            query["page"] = body["next"]
        assert found == ids[::-1]


async def test_tasks_of_a_time(url: str) -> None:
    async with serving(url) as server, asking(server) as ask:
        await server.tell("received", "a")
        for query, found in (
            ("after=2000-01-01T00:00:00Z", ["a"]),
            ("before=2000-01-01T00:00:00Z", []),
            ("after=2000-01-01t00:00:00.5%2B02:00", ["a"]),
            ("after=2000-01-01T00:00:00+02:00", ["a"]),
            ("after=2999-01-01T00:00:00Z", []),
        ):
            answer = await ask.get(f"/api/v1/tasks?{query}")
            assert [t["id"] for t in answer.json()["tasks"]] == found, query


async def test_one_task_with_its_attempts(url: str) -> None:
    async with serving(url) as server, asking(server) as ask:
        await _two_tasks(server)
        body = (await ask.get("/api/v1/tasks/hit")).json()
        assert (body["state"], body["queue"], body["tags"]) == (
            "STARTED",
            "fast",
            ["red"],
        )
        assert [a["state"] for a in body["attempts"]] == ["STARTED"]
        stored = await server.store.task("hit")
        shown = msgspec.json.decode(to_json(stored))
        assert {k: v for k, v in body.items() if k != "attempts"} == shown
        missing = await ask.get("/api/v1/tasks/nobody%2Fknows")
        assert missing.status_code == 404
        assert missing.json() == {
            "id": "nobody/knows",
            "state": "UNKNOWN",
            "attempts": [],
        }


async def test_workers_stats_and_health(url: str) -> None:
    async with serving(url) as server, asking(server) as ask:
        await _two_tasks(server)
        raw = {"type": "worker-online", "hostname": "w1@h", "timestamp": 1.7e9}
        worker = parse_worker(raw, 1.7e9)
        assert worker is not None
        await server.store.store([], [worker], now=1.7e9)
        workers = (await ask.get("/api/v1/workers")).json()["workers"]
        assert [worker["id"] for worker in workers] == ["w1@h"]
        stats = (await ask.get("/api/v1/stats")).json()
        assert stats == {"counts": {"STARTED": 1, "RECEIVED": 1}, "total": 2}
        health = (await ask.get("/api/v1/health")).json()
        assert health["status"] == "down"
        assert health["problem"].startswith("no monitor has spoken")
        await server.beat(lag_ms=9)
        end = str(await server.store.end())
        await until(lambda: str(server.app.state.shared.hub.pos) == end)
        health = (await ask.get("/api/v1/health")).json()
        assert (health["status"], health["event_lag_ms"]) == ("ok", 9)
        assert [m["id"] for m in health["monitors"]] == ["m1"]
        since = "2026-01-01T00:00:00.000Z"
        gap = Gap(id="g", since=since, until=since, reason="broker away")
        await server.store.open_gap(gap)
        health = (await ask.get("/api/v1/health")).json()
        assert health["status"] == "degraded"
        assert health["gaps"][0]["reason"] == "broker away"


# -- orders -------------------------------------------------------------------------


async def test_without_a_broker_nothing_can_be_sent(url: str) -> None:
    async with serving(url) as server, asking(server) as ask:
        for path in ("/api/v1/tasks", "/api/v1/tasks/x/cancel"):
            refused(await ask.post(path, json={}), 503, "set HERALD_BROKER_URL")


async def test_a_body_that_cannot_be_meant_gets_a_sentence(url: str) -> None:
    bodies: list[tuple[bytes, int, str]] = [
        (b"", 400, "the body must be one JSON object"),
        (b"[]", 400, "the body must be one JSON object"),
        (b"\xff", 400, "the body must be one JSON object"),
        (b"[" * 100_000, 400, "the body must be one JSON object"),
        (b'{"type":"x"}', 400, "unknown key 'type'; send task_type and params"),
        (b"{}", 400, "task_type must be a text"),
        (b'{"task_type":"x","params":[1]}', 400, "params must be an object"),
        (b'{"task_type":"no-such"}', 400, "no-such"),
        (b'"' + b"x" * MAX_BODY, 413, f"a body is at most {MAX_BODY} bytes"),
    ]
    celery = make_app(url)
    async with serving(url, celery=celery) as server, asking(server) as ask:
        for body, status, sentence in bodies:
            answer = await ask.post("/api/v1/tasks", content=body)
            refused(answer, status, sentence)
    celery.close()


# -- probes and metrics -----------------------------------------------------------------


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
        end = await server.store.end()
        await until(lambda: server.app.state.shared.hub.pos == end)
        answer = await ask.get("/readyz")
        assert (answer.status_code, answer.json()) == (200, {"status": "ready"})
        monkeypatch.setattr("herald_server.feed.STALE_AFTER", 0.0)
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
        await _two_tasks(server)
        counters = {"events": 12, "dropped": 1, "not in the table": 7}
        await server.beat(lag_ms=250, waiting=3, counters=counters)
        async with connected(server) as client:
            journal = await client.subscribe()
            await until(lambda: journal.cursor)
            answer = await ask.get("/metrics")
            found = _samples(answer.text)
        assert answer.headers["content-type"] == metrics.MEDIA_TYPE
        assert found["herald_connections"] == {"": 1}
        assert found["herald_watchers"] == {"tasks": 1, "workers": 0, "counts": 0}
        assert found["herald_frames_sent_total"][""] >= 3
        assert found["herald_bytes_sent_total"][""] > 500
        assert 0 <= found["herald_log_age_seconds"][""] < 10
        assert found["herald_store_up"] == {"": 1}
        assert found["herald_tasks"] == {"STARTED": 1, "RECEIVED": 1}
        assert found["herald_gaps_open"] == {"": 0}
        assert found["herald_monitor_connected"] == {"m1": 1}
        assert found["herald_monitor_lag_seconds"] == {"m1": 0.25}
        assert found["herald_monitor_waiting"] == {"m1": 3}
        assert found["herald_monitor_events_total"] == {"m1": 12}
        assert found["herald_monitor_dropped_total"] == {"m1": 1}
        assert "not in the table" not in answer.text
        assert "hit" not in answer.text, "no task is a label"


async def test_every_metric_is_in_the_table(url: str) -> None:
    table = metrics.__doc__ or ""
    async with serving(url) as server, asking(server) as ask:
        await server.beat()
        text = (await ask.get("/metrics")).text
    told = {f.name for f in text_string_to_metric_families(text)}
    rows = {line.split("`")[1] for line in table.splitlines() if line[:4] == "| `h"}
    named = {row.removesuffix("_total") for row in rows} - {"herald_monitor_…"}
    counted = {f"herald_monitor_{name}" for name in metrics.COUNTERS}
    assert told == named | counted


# -- everything else ---------------------------------------------------------------------


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
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        for path in ("/dashboard/none.js", "/dashboard/..%2fapp.py", "/dashboard/"):
            refused(await ask.get(path), 404, "there is nothing at")
