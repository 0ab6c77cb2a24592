"""The HTTP door: who may, what is found, and what is ordered, on a real server."""

from typing import Any

import msgspec
import pytest

from herald_core.model.codec import to_json
from herald_core.model.gaps import Gap
from herald_core.model.workers.worker_reports import parse_worker
from herald_server.api.http.body import MAX_BODY_BYTES
from tests.support.celery.project import make_app
from tests.support.clients.http import asking, refused, told
from tests.support.clients.websocket import connected
from tests.support.herald.server import Server, let_in, serving
from tests.support.herald.uvicorn_server import TOKEN
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = pytest.mark.anyio


@pytest.fixture
def url(module_valkey: PrivateValkey) -> str:
    return module_valkey.url


READS = (
    "/api/v1/tasks",
    "/api/v1/tasks/some-id",
    "/api/v1/workers",
    "/api/v1/stats",
    "/api/v1/health",
    "/metrics",
)


# -- who may -----------------------------------------------------------------------


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
        let_in(server, "may-only-start", scopes=frozenset(["start"]))
        let_in(server, "may-only-read", scopes=frozenset(["read"]))
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


async def test_foreign_hosts_and_pages_are_turned_away_everywhere(url: str) -> None:
    async with serving(url) as server, asking(server) as ask:
        for path in ("/", "/healthz", "/api/v1/stats", "/mcp", "/dashboard/x"):
            answer = await ask.get(path, headers={"Host": "evil.example"})
            if path != "/healthz":
                refused(answer, 421, "HERALD_ALLOWED_HOSTS")
            for origin in ("https://evil.example", "null", "http://[::1"):
                answer = await ask.get(path, headers={"Origin": origin})
                refused(answer, 403, "HERALD_ALLOWED_ORIGINS")


@pytest.mark.parametrize(
    "path", ["/", "/herald.js", "/api/v1/stats", "/api/v1/nowhere", "/metrics", "/mcp"]
)
async def test_no_answer_is_sniffed_or_kept(url: str, path: str) -> None:
    async with serving(url) as server, asking(server) as ask:
        headers = (await ask.get(path)).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"].startswith("no-")
    assert "strict-transport-security" not in headers


@pytest.mark.parametrize("host", ["10.1.2.3:8787", "herald.monitoring.svc:8787"])
async def test_kubelet_and_prometheus_are_answered(url: str, host: str) -> None:
    async with serving(url) as server, asking(server) as ask:
        await server.beat()
        for path in ("/healthz", "/readyz", "/metrics"):
            assert (await ask.get(path, headers={"Host": host})).status_code == 200


async def test_allowed_hosts_and_pages_are_let_in(url: str) -> None:
    allowed: dict[str, Any] = {
        "allowed_hosts": "herald.example",
        "allowed_origins": "https://a.example",
    }
    headers = {"Host": "herald.example:99", "Origin": "https://a.example"}
    async with serving(url, **allowed) as server, asking(server) as ask:
        answer = await ask.get("/api/v1/stats", headers=headers)
        assert answer.status_code == 200


# -- tasks -------------------------------------------------------------------------


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
        body = told(await ask.get("/api/v1/tasks/hit"))
        assert (body["state"], body["queue"], body["tags"]) == (
            "STARTED",
            "fast",
            ["red"],
        )
        assert [a["state"] for a in body["attempts"]] == ["STARTED"]
        stored = await server.store.get_task("hit")
        shown = msgspec.json.decode(to_json(stored))
        assert {k: v for k, v in body.items() if k != "attempts"} == shown
        missing = await ask.get("/api/v1/tasks/nobody%2Fknows")
        assert missing.status_code == 404
        assert told(missing) == {
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
        stats = told(await ask.get("/api/v1/stats"))
        assert stats == {"counts": {"STARTED": 1, "RECEIVED": 1}, "total": 2}
        health = (await ask.get("/api/v1/health")).json()
        assert health["status"] == "down"
        assert health["problem"].startswith("no monitor has spoken")
        await server.beat(lag_ms=9)
        end = str(await server.store.read_end())
        await wait_until_async(lambda: str(server.app.state.shared.hub.pos) == end)
        health = (await ask.get("/api/v1/health")).json()
        assert (health["status"], health["event_lag_ms"]) == ("ok", 9)
        assert [m["id"] for m in health["monitors"]] == ["m1"]
        since = "2026-01-01T00:00:00.000Z"
        gap = Gap(id="g", since=since, until=since, reason="broker away")
        await server.store.open_gap(gap)
        health = (await ask.get("/api/v1/health")).json()
        assert health["status"] == "degraded"
        assert health["gaps"][0]["reason"] == "broker away"


# -- orders ------------------------------------------------------------------------


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
        (
            b'"' + b"x" * MAX_BODY_BYTES,
            413,
            f"a body is at most {MAX_BODY_BYTES} bytes",
        ),
    ]
    celery = make_app(url)
    async with serving(url, celery=celery) as server, asking(server) as ask:
        for body, status, sentence in bodies:
            answer = await ask.post("/api/v1/tasks", content=body)
            refused(answer, status, sentence)
    celery.close()
