"""Starting over MCP: when, where to, once, together, in turn, again."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from celery import Celery
from fastmcp import Client

from herald_core.model.events.redaction import Redactor
from herald_core.model.tasks.views import from_rfc3339
from herald_core.store.redis.store import RedisStore
from herald_server.auth.identity import Identity
from herald_server.catalog.catalog import Catalog
from herald_server.control.control import Control
from tests.support.celery.worker import AppFactory
from tests.support.herald.mcp_environment import (
    SNAPSHOT,
    House,
    call,
    house,
    over_http,
    refused,
)
from tests.support.servers.redis import PrivateValkey

pytestmark = pytest.mark.anyio

START: dict[str, Any] = {"task_type": "metrics_snapshot"}


@pytest.fixture
def app(module_valkey: PrivateValkey, project_app: AppFactory) -> Celery:
    """An app on a private broker, which is its result backend too."""
    return project_app(module_valkey.url, module_valkey.url)


@asynccontextmanager
async def opened(
    app: Celery, catalog: Catalog | None = None
) -> AsyncGenerator[tuple[House, Client[Any]], None]:
    async with house(app, catalog=catalog) as made, Client(made.door) as client:
        yield made, client


def queued(server: PrivateValkey, app: Celery, queue: str = "") -> list[Any]:
    """Return the messages that wait in a queue, the app's own by default."""
    name = queue or str(app.conf.task_default_queue)
    with server.client() as client:
        return [json.loads(one) for one in client.lrange(name, 0, -1)]


def arguments(message: Any) -> Any:
    """Return args and kwargs of a message, and what is embedded in it."""
    return json.loads(base64.b64decode(message["body"]))


# -- options -----------------------------------------------------------------------


async def test_options_travel_with_the_task_and_are_known_of_it(
    app: Celery, module_valkey: PrivateValkey
) -> None:
    catalog = Catalog(queues=["slow"])
    async with opened(app, catalog) as (made, client):
        began = time.time()
        told = await call(
            client,
            "start_background_task",
            **START,
            countdown=600,
            expires=3600,
            queue="slow",
            tags=["weekly", "audit"],
        )
        task = await made.store.get_task(told["task_id"])
        tagged = await call(client, "list_tasks", tag="weekly")
    sent = queued(module_valkey, app, "slow")[0]["headers"]
    assert sent["id"] == told["task_id"]
    assert began + 599 < from_rfc3339(sent["eta"]) < began + 660
    assert began + 3599 < from_rfc3339(sent["expires"]) < began + 3660
    assert (task.queue, task.tags) == ("slow", ("audit", "weekly"))
    assert task.eta is not None
    assert abs(from_rfc3339(task.eta) - from_rfc3339(sent["eta"])) < 0.01
    assert task.expires is not None
    assert [one["task_id"] for one in tagged["tasks"]] == [told["task_id"]]


async def test_an_eta_and_a_priority_travel_too(
    app: Celery, module_valkey: PrivateValkey
) -> None:
    eta = "2026-12-01T10:00:00+02:00"
    async with opened(app) as (made, client):
        soon = from_rfc3339(eta) > time.time()
        told = await call(client, "start_background_task", **START, eta=eta, priority=0)
        task = await made.store.get_task(told["task_id"])
    sent = queued(module_valkey, app)[0]
    assert from_rfc3339(sent["headers"]["eta"]) == from_rfc3339(eta) or not soon
    assert sent["properties"]["priority"] == 0
    assert (task.eta, task.priority) == ("2026-12-01T08:00:00.000Z", 0)


# -- once ----------------------------------------------------------------------------


async def test_the_same_key_starts_once(
    app: Celery, module_valkey: PrivateValkey
) -> None:
    async with opened(app) as (_, client):
        first = await call(
            client, "start_background_task", **START, idempotency_key="monday"
        )
        again = await call(
            client, "start_background_task", **START, idempotency_key="monday"
        )
        other = await call(
            client, "start_background_task", **START, idempotency_key="tuesday"
        )
        kind = await call(
            client,
            "start_background_task",
            task_type="resilience_health_check",
            idempotency_key="monday",
        )
    assert again["task_id"] == first["task_id"]
    assert (first["repeated"], again["repeated"]) == (False, True)
    assert "before with this key" in again["message"]
    assert len({first["task_id"], other["task_id"], kind["task_id"]}) == 3
    assert len(queued(module_valkey, app)) == 3


async def test_many_processes_with_one_key_send_once(
    app: Celery, module_valkey: PrivateValkey, valkey: PrivateValkey
) -> None:
    stores = [RedisStore(valkey.url) for _ in range(4)]
    houses = [House(app, store) for store in stores]
    for store in stores:
        await store.open()
    try:
        controls = [made.shared.control for made in houses]
        told = await asyncio.gather(
            *(
                one.start("metrics_snapshot", {}, key="k", who="me")
                for one in controls * 5
                if one
            )
        )
    finally:
        for store in stores:
            await store.close()
    assert len(told) == 20
    assert len({one.task_id for one in told}) == 1
    assert sum(not one.repeated for one in told) == 1
    assert len(queued(module_valkey, app)) == 1


async def test_keys_of_two_callers_are_two(app: Celery) -> None:
    tokens = {"one": Identity("one"), "two": Identity("two")}
    async with house(app) as made, over_http(made, tokens) as url:
        ids: set[str] = set()
        for token in tokens:
            async with Client(url, auth=token) as client:
                told = await call(
                    client, "start_background_task", **START, idempotency_key="k"
                )
                ids.add(told["task_id"])
    assert len(ids) == 2


async def test_a_start_that_failed_may_be_tried_again_with_its_key(
    app: Celery, module_valkey: PrivateValkey, project_app: AppFactory
) -> None:
    once: dict[str, object] = {"broker_transport_options": {"max_retries": 0}}
    gone = project_app("redis://127.0.0.1:1/0", None, **once)
    start = {**START, "idempotency_key": "k"}
    async with house(gone) as away:
        async with Client(away.door) as client:
            assert "cannot be reached" in await refused(
                client, "start_background_task", **start
            )
        async with house(app, away.store) as made, Client(made.door) as client:
            told = await call(client, "start_background_task", **start)
    assert told["repeated"] is False
    assert queued(module_valkey, app)[0]["headers"]["id"] == told["task_id"]


# -- by Celery's name ------------------------------------------------------------------


async def test_what_is_allowed_is_started_by_its_celery_name(
    app: Celery, module_valkey: PrivateValkey
) -> None:
    catalog = Catalog([], ["reports.*"])
    async with opened(app, catalog) as (_, client):
        told = await call(
            client,
            "start_background_task",
            task_type="reports.weekly",
            params={"week": 7},
        )
        said = await refused(client, "start_background_task", task_type="shop.pay")
        listed = await call(client, "list_task_types")
    sent = queued(module_valkey, app)[0]
    assert (sent["headers"]["task"], sent["headers"]["id"]) == (
        "reports.weekly",
        told["task_id"],
    )
    assert arguments(sent)[:2] == [[], {"week": 7}]
    assert "available: reports.*" in said
    assert listed["allowed_names"] == ["reports.*"]


# -- groups and chains ---------------------------------------------------------


async def test_a_group_is_sent_as_one_and_known_before(
    app: Celery, module_valkey: PrivateValkey
) -> None:
    items = [{**START, "params": {"period_days": n}} for n in (1, 2, 3)]
    async with opened(app) as (made, client):
        told = await call(client, "start_task_group", tasks=items, tags=["batch"])
        status = await call(client, "get_group_status", group_id=told["group_id"])
        ids = [one["task_id"] for one in told["tasks"]]
        await made.tell("received", ids[0], name=SNAPSHOT, retries=0)
        await made.tell("succeeded", ids[0], result="1")
        await made.tell("failed", ids[1], exception="ValueError('no')")
        later = await call(client, "get_group_status", group_id=told["group_id"])
        await made.tell("succeeded", ids[2], result="1")
        done = await call(client, "get_group_status", group_id=told["group_id"])
    sent = {one["headers"]["id"]: one for one in queued(module_valkey, app)}
    assert set(sent) == set(ids)
    assert {one["headers"]["group"] for one in sent.values()} == {told["group_id"]}
    assert [arguments(sent[i])[1]["period_days"] for i in ids] == [1, 2, 3]
    assert (status["total"], status["status"], status["finished"]) == (3, "running", 0)
    assert status["counts"] == {"pending": 3}
    assert later["counts"] == {"success": 1, "failure": 1, "pending": 1}
    assert later["progress"] == 66.6
    assert (done["done"], done["status"]) == (True, "failure")


async def test_a_chain_carries_its_steps_along(
    app: Celery, module_valkey: PrivateValkey
) -> None:
    items = [{**START, "params": {"period_days": n}} for n in (1, 2, 3)]
    async with opened(app) as (made, client):
        told = await call(client, "start_task_chain", tasks=items)
        ids = [one["task_id"] for one in told["tasks"]]
        tasks = [await made.store.get_task(id_) for id_ in ids]
        await made.tell("received", ids[0], name=SNAPSHOT, retries=0)
        await made.tell("failed", ids[0], exception="ValueError('no')")
        status = await call(client, "get_group_status", group_id=told["group_id"])
        why = await call(client, "explain_task", task_id=ids[2])
    [sent] = queued(module_valkey, app)
    steps = arguments(sent)[2]["chain"]
    assert sent["headers"]["id"] == ids[0]
    assert [one["options"]["task_id"] for one in reversed(steps)] == ids[1:]
    assert all(one["immutable"] for one in steps)
    assert [task.parent_id for task in tasks] == [None, ids[0], ids[1]]
    assert {task.root_id for task in tasks} == {ids[0]}
    assert (status["done"], status["status"], status["finished"]) == (
        True,
        "failure",
        1,
    )
    assert "2 will never run" in status["message"]
    assert (why["reason"], ids[0] in why["message"]) == ("predecessor_ended", True)


# -- again -----------------------------------------------------------------


async def ended(made: House, client: Client[Any], **params: Any) -> str:
    """Start a task and let it fail; return its id."""
    told = await call(client, "start_background_task", **START, params=params)
    await made.tell("received", told["task_id"], name=SNAPSHOT, retries=0)
    await made.tell("failed", told["task_id"], exception="ValueError('no')")
    return str(told["task_id"])


async def test_a_task_is_retried_with_its_own_arguments(
    app: Celery, module_valkey: PrivateValkey
) -> None:
    async with opened(app) as (made, client):
        task_id = await ended(made, client, period_days=7)
        told = await call(client, "retry_task", task_id=task_id)
        story = await call(client, "get_task_history", task_id=told["task_id"])
        again = await refused(client, "retry_task", task_id=told["task_id"])
    first, second = sorted(
        queued(module_valkey, app), key=lambda m: m["headers"]["id"] != task_id
    )
    assert arguments(second)[:2] == arguments(first)[:2] == [[], {"period_days": 7}]
    assert second["headers"]["parent_id"] == task_id
    assert (story["retry_of"], story["parent_id"]) == (task_id, task_id)
    assert "still pending" in again


async def test_a_task_is_retried_with_other_arguments_if_they_fit(
    app: Celery, module_valkey: PrivateValkey
) -> None:
    async with opened(app) as (made, client):
        task_id = await ended(made, client)
        bad = await refused(
            client, "retry_task", task_id=task_id, kwargs={"period_days": 0}
        )
        told = await call(
            client, "retry_task", task_id=task_id, kwargs={"period_days": 3}
        )
    sent = {one["headers"]["id"]: one for one in queued(module_valkey, app)}
    assert "period_days must be at least 1" in bad
    assert arguments(sent[told["task_id"]])[1] == {"period_days": 3}


@pytest.mark.parametrize(
    ("kwargs", "why"),
    [
        ("{'token': '[redacted]'}", "secrets were cut out"),
        ("{'a': '" + "x" * 30 + "...", "they were cut off"),
        ("{'a': [1, 2, '...']}", "they were cut off"),
        ("{'at': datetime.date(2026, 1, 1)}", "they are no plain values"),
        ("'hidden'", "its sender shows other text"),
    ],
)
async def test_arguments_that_are_not_known_have_to_be_given(
    app: Celery, module_valkey: PrivateValkey, kwargs: str, why: str
) -> None:
    async with opened(app, Catalog([], ["shop.*"])) as (made, client):
        shown = {"name": "shop.pay", "args": "()", "kwargs": kwargs, "retries": 0}
        await made.tell("received", "t1", **shown)
        await made.tell("failed", "t1", exception="ValueError('no')")
        said = await refused(client, "retry_task", task_id="t1")
        assert queued(module_valkey, app) == []
        await call(client, "retry_task", task_id="t1", kwargs={"a": 1})
    assert why in said
    assert "give them all in kwargs" in said
    assert len(queued(module_valkey, app)) == 1


async def test_secrets_of_what_herald_starts_are_nowhere_in_the_store(
    app: Celery, valkey: PrivateValkey
) -> None:
    store = RedisStore(valkey.url)
    await store.open()
    made = House(app, store, Catalog([], ["shop.*"]))
    control = Control(app, store, made.hub, Catalog([], ["shop.*"]), Redactor())
    params = {"api_key": "planted-secret"}
    started = await control.start("shop.pay", params, key="k", who="me")
    task = await store.get_task(started.task_id)
    await store.close()
    with valkey.client() as client:
        kept = b"".join(client.dump(key) or b"" for key in client.keys("*"))
    assert "[redacted]" in str(task.kwargs)
    assert b"planted-secret" not in kept


async def test_retrying_what_is_in_no_catalog_takes_admin(app: Celery) -> None:
    starter = Identity("starter", frozenset({"read", "start"}))
    async with (
        house(app) as made,
        over_http(made, {"starter": starter}) as url,
        Client(url, auth="starter") as client,
    ):
        await made.tell("received", "t1", name="shop.pay", kwargs="{}", retries=0)
        await made.tell("failed", "t1", exception="ValueError('no')")
        said = await refused(client, "retry_task", task_id="t1")
    assert "retrying shop.pay needs a token with the scope admin" in said
