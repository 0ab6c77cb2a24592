"""Orders to workers over HTTP: who may give them, and to whom."""

from __future__ import annotations

import time

import msgspec
import pytest

from herald_core.model.filters import Filter
from tests.support.celery.worker import AppFactory
from tests.support.clients.http import asking, refused
from tests.support.clients.websocket import connected
from tests.support.herald.memory_server import worker_of
from tests.support.herald.server import let_in, serving
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = pytest.mark.anyio

ORDERS = "/api/v1/workers/w@a/orders"
GROW = {"command": "pool_grow", "n": 2}


async def test_an_order_that_no_worker_answers_is_told_and_pushed(
    module_valkey: PrivateValkey, project_app: AppFactory
) -> None:
    app = project_app(module_valkey.url)
    async with (
        serving(module_valkey.url, celery=app) as server,
        asking(server) as ask,
        connected(server) as client,
    ):
        orders = await client.subscribe("o", topic="orders")
        await server.store.store([], [worker_of("w@a")], now=time.time())
        answer = await ask.post(ORDERS, json=GROW, timeout=60)
        body = answer.json()
        assert answer.status_code == 200
        assert (body["state"], body["target"]) == ("no_answer", "w@a")
        [stored] = await server.store.list_documents("orders")
        await wait_until_async(lambda: orders.items == {body["id"]: stored.rev})
        assert stored.data["state"] == "no_answer"
        audited = (await ask.get("/api/v1/audit")).json()["orders"]
        assert [(one["what"], one["outcome"]) for one in audited] == [
            ("pool_grow", "no_answer"),
            ("pool_grow", "requested"),
        ]


async def test_what_cannot_be_ordered_is_refused_with_a_sentence(
    module_valkey: PrivateValkey, project_app: AppFactory
) -> None:
    app = project_app(module_valkey.url)
    async with serving(module_valkey.url, celery=app) as server, asking(server) as ask:
        refused(await ask.post(ORDERS, json=GROW), 404, "no worker 'w@a' is known")
        wrong = {"command": "grow"}
        refused(await ask.post(ORDERS, json=wrong), 400, "did you mean 'pool_grow'")
        refused(await ask.post(f"{ORDERS}?wait=x", json=GROW), 400, "wait must be")
        gone = worker_of("w@a", type="worker-offline")
        ago = msgspec.structs.replace(gone, received_at=int(time.time() - 60))
        await server.store.store([], [ago], now=time.time())
        refused(await ask.post(ORDERS, json=GROW), 409, "is offline")


async def test_only_admins_who_see_everything_give_orders(
    module_valkey: PrivateValkey, project_app: AppFactory
) -> None:
    app = project_app(module_valkey.url)
    async with serving(module_valkey.url, celery=app) as server:
        let_in(server, "no-admin", scopes=frozenset(["read", "start", "cancel"]))
        let_in(server, "narrow", task_filter=Filter(name=("shop.*",)))
        for token in ("no-admin", "narrow"):
            async with asking(server, {"Authorization": f"Bearer {token}"}) as ask:
                assert (await ask.post(ORDERS, json=GROW)).status_code == 403, token


async def test_orders_can_be_switched_off(
    module_valkey: PrivateValkey, project_app: AppFactory
) -> None:
    app = project_app(module_valkey.url)
    async with (
        serving(module_valkey.url, celery=app, worker_control=False) as server,
        asking(server) as ask,
    ):
        refused(await ask.post(ORDERS, json=GROW), 403, "HERALD_WORKER_CONTROL=0")


async def test_a_broker_without_remote_control_carries_no_order(
    module_valkey: PrivateValkey, project_app: AppFactory
) -> None:
    app = project_app("sqs://")
    async with serving(module_valkey.url, celery=app) as server, asking(server) as ask:
        refused(await ask.post(ORDERS, json=GROW), 501, "Amazon SQS carries no remote")
