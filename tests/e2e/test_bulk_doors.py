"""One order for many tasks, over REST, the command line and MCP."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from celery import Celery
from fastmcp import Client

from tests.support.celery.worker import AppFactory
from tests.support.herald.command_line import objects, runner_at
from tests.support.herald.memory_server import TOKEN, LiveServer, live_server
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until

IDS = ["t0", "t1", "t2"]


@pytest.fixture
def app(valkey: PrivateValkey, project_app: AppFactory) -> Celery:
    """An app on a private broker, without workers."""
    return project_app(valkey.url)


@pytest.fixture
def server(app: Celery) -> Iterator[LiveServer]:
    """A server that knows three failed tasks, and a fourth that cannot be sent."""
    with live_server(app) as live:
        for id_ in IDS:
            live.tell("received", id_, name="add", args="(1, 2)", kwargs="{}")
            live.tell("failed", id_, exception="ValueError()")
        live.tell("received", "cut", name="add", args="('xx...", kwargs="{}")
        live.tell("failed", "cut", exception="ValueError()")
        yield live


def ask(server: LiveServer, path: str, body: object = None, token: str = TOKEN) -> Any:
    """Send a request; return what was answered, with the status."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {token}"}
    try:
        with urlopen(
            Request(f"{server.url}api/v1/{path}", data, headers), timeout=30
        ) as answer:
            return {**json.loads(answer.read()), "code": answer.status}
    except HTTPError as error:
        with error:
            return {**json.loads(error.read()), "code": error.code}


def wait_for_end(server: LiveServer, order_id: str) -> Any:
    """Return an order once it has ended."""
    return wait_until(
        lambda: ask(server, f"orders/{order_id}"),
        30,
        "it ends",
        accept=lambda order: "ended_at" in order,
    )


RETRY = {"action": "retry", "query": "failed name:add"}


def test_what_cannot_be_sent_is_foreseen_and_told(server: LiveServer) -> None:
    preview = ask(server, "orders", RETRY)
    assert (preview["code"], preview["count"], preview["acts_on"]) == (200, 4, 3)
    assert preview["not_resendable"] == 1
    order = ask(server, "orders", {**RETRY, **preview["selection"], "expect": 4})
    assert (order["code"], order["kind"]) == (201, "bulk_retry")
    ended = wait_for_end(server, order["id"])
    assert ended["details"]["outcomes"] == {"not_resendable": 1, "sent": 3}
    [failure] = ended["details"]["failures"]
    assert (failure["task_id"], failure["outcome"]) == ("cut", "not_resendable")
    found = ask(server, f"tasks?tag=order:{order['id']}")["tasks"]
    assert {task["parent_id"]: task["id"] for task in found} == {
        id_: ask(server, f"tasks/{id_}")["retried_as"][0] for id_ in IDS
    }
    records = ask(server, "audit")["orders"]
    assert [one["what"] for one in records] == ["bulk_retry_ended", "bulk_retry"]
    assert ask(server, "orders")["orders"][0]["id"] == order["id"]


def test_a_repeated_confirmation_is_one_order(server: LiveServer) -> None:
    body = {**RETRY, "expect": 4, "idempotency_key": "k"}
    first, again = ask(server, "orders", body), ask(server, "orders", body)
    assert first["id"] == again["id"]
    wait_for_end(server, first["id"])
    assert ask(server, "orders", body)["id"] == first["id"]


def test_waiting_tasks_are_cancelled_by_query(server: LiveServer) -> None:
    for id_ in ("w1", "w2"):
        server.tell("sent", id_, name="wait", args="()")
    body = {"action": "cancel", "query": "name:wait", "expect": 2}
    ended = wait_for_end(server, ask(server, "orders", body)["id"])
    # No worker runs: it is kept for those that join.
    assert ended["details"]["outcomes"] == {"unanswered": 2}


@pytest.mark.parametrize(
    ("path", "body", "code", "part"),
    [
        ("orders", {**RETRY, "expect": 3}, 409, "4 tasks are selected now, not 3"),
        ("orders", {"action": "retry"}, 400, "give ids (a list)"),
        ("orders", {**RETRY, "query": "stat:x"}, 400, "unknown key 'stat'"),
        ("orders", {**RETRY, "query": "name:zz", "expect": 0}, 400, "nothing to do"),
        ("orders/nobody", None, 404, "there is no order 'nobody'"),
        ("orders/nobody/stop", {}, 404, "there is no order 'nobody'"),
    ],
)
def test_a_wrong_order_is_refused(
    server: LiveServer, path: str, body: object, code: int, part: str
) -> None:
    told = ask(server, path, body)
    assert told["code"] == code
    assert part in told["detail"]


def test_a_narrow_token_acts_on_what_it_sees(server: LiveServer) -> None:
    body = {"scopes": ["read", "start"], "only": {"ids": ["t0", "t1"]}, "ttl": 600}
    token = ask(server, "tokens", body)["token"]
    assert ask(server, "orders", RETRY, token)["count"] == 2
    # Its filter is about ids, which a rerun has not.
    order = ask(server, "orders", {**RETRY, "expect": 2}, token)
    assert wait_for_end(server, order["id"])["details"]["outcomes"] == {"refused": 2}
    whole = ask(server, "orders", {**RETRY, "expect": 4})
    assert ask(server, f"orders/{whole['id']}", None, token)["code"] == 404
    assert [one["id"] for one in ask(server, "orders", None, token)["orders"]] == [
        order["id"]
    ]
    cancel = {"action": "cancel", "ids": ["t0"]}
    assert ask(server, "orders", cancel, token)["code"] == 403


def test_the_command_line_confirms_a_number(server: LiveServer) -> None:
    run = runner_at(server.url)
    asked = run("retry", "--name", "add", "--state", "FAILURE")
    assert asked.exit_code == 1
    assert "give --expect 4, or --yes" in asked.stderr
    done = run("retry", "--query", "failed name:add", "--expect", "4", "--json")
    assert done.exit_code == 0, done.output
    [order] = objects(done)
    assert order["details"]["outcomes"] == {"not_resendable": 1, "sent": 3}
    listed = run("orders")
    assert order["id"] in listed.stdout
    assert "not_resendable" in run("orders", order["id"]).stdout
    assert run("retry", "--query", "failed name:zz", "--yes").exit_code == 1


async def call(client: Client[Any], tool: str, given: dict[str, Any]) -> dict[str, Any]:
    """Call a tool, and return what it answers."""
    found = (await client.call_tool(tool, given)).structured_content
    assert found is not None
    return found


@pytest.mark.anyio
async def test_an_agent_prepares_and_confirms(server: LiveServer) -> None:
    async with Client(f"{server.url}mcp", auth=TOKEN) as client:
        query = {"action": "retry", "query": "failed name:add"}
        prepared = (
            await client.call_tool("prepare_bulk_order", query)
        ).structured_content
        assert prepared is not None
        assert (prepared["count"], prepared["acts_on"]) == (4, 3)
        confirm = {**query, **prepared["selection"], "expect": 4}
        order = (
            await client.call_tool("confirm_bulk_order", confirm)
        ).structured_content
        assert order is not None
        listed = (await client.call_tool("list_orders", {})).structured_content
        assert listed is not None
        assert listed["orders"][0]["order_id"] == order["order_id"]
