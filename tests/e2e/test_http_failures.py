"""Failures by cause over HTTP and as a topic, on a real server."""

import time
from typing import Any
from uuid import uuid4

import pytest

from herald_core.model.documents import replace_with
from herald_core.model.events.event import Event
from herald_core.model.failures.cause import make_fingerprint
from herald_core.model.tasks.views import to_rfc3339
from herald_core.store.ports import Store
from tests.support.clients.http import asking, refused
from tests.support.clients.websocket import connected
from tests.support.herald.server import make_store, serving
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = pytest.mark.anyio

TRACEBACK = (
    'Traceback (most recent call last):\n  File "/srv/shop/pay.py", line 7, in charge\n'
    "shop.errors.NoMoney: 3 EUR\n"
)
CAUSE = make_fingerprint("NoMoney('3 EUR')", TRACEBACK)


@pytest.fixture
def url(module_valkey: PrivateValkey) -> str:
    return module_valkey.url


async def fail(store: Store, id_: str, ago: float = 1.0, **fields: Any) -> None:
    """Store a task that failed some seconds ago."""
    at = time.time() - ago
    end = {"exception": "NoMoney('3 EUR')", "traceback": TRACEBACK, **fields}
    name = end.pop("name", "shop.pay")
    told: list[tuple[str, dict[str, Any]]] = [
        ("received", {"name": name}),
        ("started", {}),
        ("failed", end),
    ]
    events = [
        Event(
            kind=kind, task_id=id_, at=at + n / 100, host="w1@h", pid=7, clock=n, **more
        )
        for n, (kind, more) in enumerate(told, 1)
    ]
    await store.store(events, now=time.time())


async def test_causes_are_listed_with_what_tells_them(url: str) -> None:
    async with serving(url) as server, asking(server) as ask:
        for n in range(3):
            await fail(server.store, f"a{n}")
        await fail(server.store, "b", name="shop.bill")
        await fail(server.store, "c", exception="KeyError('x')", traceback="")
        told = (await ask.get("/api/v1/failures?window=10m")).json()
        assert (told["count"], told["total"], told["other"]) == (5, 2, 0)
        first, second = told["failures"]
        assert first["fingerprint"] == CAUSE
        assert first["exception"] == "shop.errors.NoMoney"
        assert first["frame"] == "shop/pay.py:charge"
        assert first["names"] == {"shop.pay": 3, "shop.bill": 1}
        assert (sum(first["series"]), len(first["series"])) == (4, 10)
        assert second["exception"] == "KeyError"
        assert "new_since_deploy" not in first


async def test_causes_are_selected_by_name(url: str) -> None:
    async with serving(url) as server, asking(server) as ask:
        await fail(server.store, "a")
        await fail(server.store, "b", name="mail.send")
        told = (await ask.get("/api/v1/failures?name=mail.*")).json()
        assert [one["names"] for one in told["failures"]] == [{"mail.send": 1}]


async def test_one_cause_and_its_tasks(url: str) -> None:
    async with serving(url) as server, asking(server) as ask:
        await fail(server.store, "a")
        await fail(server.store, "b")
        await fail(server.store, "c", exception="KeyError('x')")
        one = (await ask.get(f"/api/v1/failures/{CAUSE}")).json()
        assert (one["count"], one["tasks"], one["sampled"]) == (2, 2, 2)
        assert one["worker_counts"] == {"w1@h": 2}
        tasks = (await ask.get(f"/api/v1/tasks?failure={CAUSE}")).json()["tasks"]
        assert sorted(task["id"] for task in tasks) == ["a", "b"]
        assert {task["failure"] for task in tasks} == {CAUSE}


async def test_a_subscriber_is_told_of_causes_and_their_counts(url: str) -> None:
    async with serving(url) as server, connected(server) as client:
        journal = await client.subscribe("failures", topic="failures")
        await fail(server.store, "a")
        await wait_until_async(lambda: CAUSE in journal.items)
        await fail(server.store, "b")

        def last() -> dict[str, Any]:
            told: dict[str, Any] = client.of("data")[-1]["put"][0]
            return told

        await wait_until_async(lambda: last()["count_1h"] == 2)
        assert last()["frame"] == "shop/pay.py:charge"
        assert (last()["workers"], last()["task_example"]) == (["w1@h"], "b")


async def test_failures_of_a_time_without_a_server_are_found(url: str) -> None:
    prefix = f"{{failures-{uuid4().hex}}}"
    alone = make_store(url, prefix)
    await alone.open()
    await fail(alone, "early", 600.0)
    await alone.close()
    store = make_store(url, prefix)
    async with serving(url, store=store) as server, asking(server) as ask:

        async def has_document() -> bool:
            return bool(await store.list_documents("failures"))

        await wait_until_async(has_document)
        [one] = (await ask.get("/api/v1/failures?window=1h")).json()["failures"]
        assert one["first_seen"] <= to_rfc3339(time.time() - 590)
        assert one["task_example"] == "early"


async def test_what_is_new_since_the_deploy_is_marked(url: str) -> None:
    async with serving(url) as server, asking(server) as ask:
        await fail(server.store, "a", 60.0)
        mark = replace_with({"at": to_rfc3339(time.time() - 30)})
        await server.store.update_documents(
            "marks", {"m": mark}, now=time.time(), seconds=60
        )
        await fail(server.store, "b", exception="KeyError('x')")
        told = (await ask.get("/api/v1/failures")).json()
        new = {one["exception"]: one["new_since_deploy"] for one in told["failures"]}
        assert new == {"shop.errors.NoMoney": False, "KeyError": True}


@pytest.mark.parametrize(
    ("path", "status", "hint"),
    [
        ("/api/v1/failures?window=2h", 400, "10m, 15m, 1h, 24h"),
        ("/api/v1/failures?limit=0", 400, "1 to 200"),
        ("/api/v1/failures?state=FAILURE", 400, "by name and time"),
        ("/api/v1/failures?nam=x", 400, "did you mean 'name'"),
        ("/api/v1/failures/0000deadbeef", 404, "GET /api/v1/failures"),
    ],
)
async def test_a_mistake_gets_a_sentence(
    url: str, path: str, status: int, hint: str
) -> None:
    async with serving(url) as server, asking(server) as ask:
        refused(await ask.get(path), status, hint)
