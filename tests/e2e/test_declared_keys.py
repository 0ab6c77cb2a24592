"""A declared argument is found by its index, subscribed to, and narrows tokens."""

import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from herald_client import Herald
from herald_client.models.changes import Put
from herald_core.model.queries.argument_index import parse_index
from herald_core.store.index_file import KEY_KIND
from herald_core.store.memory.store import MemoryStore
from tests.support.herald.memory_server import TOKEN, LiveServer, live_server

pytestmark = pytest.mark.anyio

ROOT = {"Authorization": f"Bearer {TOKEN}"}
TAG = "kwargs.order_id:12345"


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    """A server of a store that indexes order ids, and knows three orders."""
    with live_server(
        store=MemoryStore(index=parse_index({"*": "kwargs.order_id"}))
    ) as s:
        s.do(s.store.put_item(KEY_KIND, "kwargs.order_id *", b"1.0", 3600))
        for number in (12344, 12345, 12346):
            s.tell("received", f"task-{number}", name="orders.pay",
                   kwargs=f"{{'order_id': {number}}}")  # fmt: skip
        yield s


def search(server: LiveServer, query: str, token: str = TOKEN) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {token}"}
    answer = httpx2.get(f"{server.url}api/v1/tasks", params={"q": query},
                        headers=headers)  # fmt: skip
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def ids(answer: dict[str, Any]) -> list[str]:
    return [task["id"] for task in answer["tasks"]]


def test_only_the_tasks_of_the_index_are_looked_at(server: LiveServer) -> None:
    answer = search(server, "kwargs.order_id:12345")
    assert ids(answer) == ["task-12345"]
    assert (answer["searched"], answer["total"]) == (1, 1)
    assert ids(search(server, "kwargs.order_id:1234*")) == [
        "task-12346", "task-12345", "task-12344",
    ]  # fmt: skip
    assert ids(search(server, f"tag:{TAG}")) == ["task-12345"]


def test_a_token_is_narrowed_by_a_declared_key(server: LiveServer) -> None:
    body = {"scopes": ["read"], "only": {"tag": TAG}, "ttl": 60}
    made = httpx2.post(f"{server.url}api/v1/tokens", json=body, headers=ROOT)
    token = made.json()["token"]
    assert ids(search(server, "orders", token)) == ["task-12345"]
    assert ids(search(server, "kwargs.order_id:12344", token)) == []
    answer = search(server, "pay", token)
    assert answer["searched"] == 1
    assert "total" not in answer


async def test_a_declared_key_is_subscribed_to(server: LiveServer) -> None:
    async with Herald(server.url, TOKEN) as herald:
        watch = herald.watch(tag=TAG)
        first = await anext(aiter(watch))
        while not isinstance(first, Put):
            first = await anext(aiter(watch))
        assert first.image.id == "task-12345"
        await watch.aclose()


def test_tasks_from_before_the_declaration_are_scanned() -> None:
    with live_server(store=MemoryStore()) as server:
        since = repr(time.time() + 3600).encode()
        server.do(server.store.put_item(KEY_KIND, "kwargs.order_id *", since, 3600))
        server.tell("received", "old", name="a", kwargs="{'order_id': 7}")
        assert ids(search(server, "kwargs.order_id:7")) == ["old"]
