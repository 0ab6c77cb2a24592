"""Orders over HTTP: options, once for a key, retry, groups."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from celery import Celery

from tests.support.celery.worker import AppFactory
from tests.support.herald.memory_server import TOKEN, LiveServer, live_server
from tests.support.servers.redis import PrivateValkey


@pytest.fixture
def app(module_valkey: PrivateValkey, project_app: AppFactory) -> Celery:
    """An app on a private broker, of which no worker knows."""
    return project_app(module_valkey.url, module_valkey.url)


@pytest.fixture
def server(app: Celery) -> Iterator[LiveServer]:
    """A server that may send to it."""
    with live_server(app) as live:
        yield live


def ask(
    server: LiveServer, method: str, path: str, body: object = None
) -> tuple[int, Any]:
    """Send a request; return the status and what was answered."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {TOKEN}"}
    request = Request(f"{server.url}api/v1/{path}", data, headers, method=method)
    try:
        with urlopen(request, timeout=20) as answer:
            return answer.status, json.loads(answer.read())
    except HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


START = {"task_type": "metrics_snapshot", "params": {"period_days": 3}}


def test_a_start_takes_options_and_a_key(server: LiveServer) -> None:
    body = {**START, "tags": ["a"], "countdown": 60, "idempotency_key": "k"}
    status, first = ask(server, "POST", "tasks", body)
    _, again = ask(server, "POST", "tasks", body)
    _, task = ask(server, "GET", f"tasks/{first['task_id']}")
    assert (status, first["repeated"], again["repeated"]) == (201, False, True)
    assert again["task_id"] == first["task_id"]
    assert task["tags"] == ["a"]
    assert task["eta"] > task["submitted_at"]


@pytest.mark.parametrize(
    ("path", "body", "part"),
    [
        ("tasks", {**START, "priority": -1}, "priority must be a whole number"),
        ("tasks", {**START, "colour": 1}, "unknown key 'colour'"),
        ("tasks", {**START, "idempotency_key": 5}, "idempotency_key must be a text"),
        ("tasks/t/retry", {"kwargs": []}, "kwargs must be an object"),
        ("tasks/t/retry", {"args": []}, "unknown key 'args'"),
        ("tasks/t/retry", {}, "nothing is known (any more) of task 't'"),
    ],
)
def test_wrong_orders_are_refused(
    server: LiveServer, path: str, body: object, part: str
) -> None:
    status, told = ask(server, "POST", path, body)
    assert status == 400
    assert part in told["detail"]


def test_a_task_is_retried(server: LiveServer) -> None:
    _, first = ask(server, "POST", "tasks", START)
    status, told = ask(server, "POST", f"tasks/{first['task_id']}/retry")
    assert (status, "still pending" in told["detail"]) == (400, True)
    server.tell("failed", first["task_id"], exception="ValueError('no')")
    status, again = ask(server, "POST", f"tasks/{first['task_id']}/retry")
    _, task = ask(server, "GET", f"tasks/{again['task_id']}")
    assert status == 201
    assert task["parent_id"] == first["task_id"]
    assert task["kwargs"] == "{'period_days': 3}"


def test_a_group_is_one_object(server: LiveServer) -> None:
    status, none = ask(server, "GET", "groups/never")
    assert (status, "nothing is known" in none["detail"]) == (404, True)
    for number in range(2):
        server.tell(
            "sent",
            f"t{number}",
            name="add",
            retries=0,
            group_id="g",
            source="submitted",
            host="",
        )
        server.tell("received", f"t{number}", name="add", retries=0)
        server.tell("succeeded", f"t{number}")
    _, told = ask(server, "GET", "groups/g")
    _, few = ask(server, "GET", "groups/g?tasks=1")
    status, wrong = ask(server, "GET", "groups/g?tasks=many")
    assert (few["total"], len(few["tasks"]), few["tasks_whole"]) == (2, 1, False)
    assert (status, "from 0 to 2000" in wrong["detail"]) == (400, True)
    _, done = ask(server, "POST", "groups/g/cancel")
    assert (told["total"], told["finished"], told["done"]) == (2, 2, True)
    assert told["counts"] == {"SUCCESS": 2}
    assert [task["id"] for task in told["tasks"]] == ["t0", "t1"]
    assert done["outcomes"] == {"too_late": 2}


CRISIS: dict[str, Any] = {
    "task_type": "resilience_crisis_activation",
    "params": {"severity": "minor", "reason": "flood"},
}


def test_what_asks_a_person_takes_two_steps(server: LiveServer) -> None:
    status, asked = ask(server, "POST", "tasks", CRISIS)
    assert status == 428
    assert "severity='minor'" in asked["detail"]
    assert asked["confirmation_expires_in"] == 300
    yes = {"confirmation": asked["confirmation"]}
    grave = {**CRISIS, "params": {"severity": "critical", "reason": "flood"}}
    for other in (grave, {**CRISIS, "tags": ["a"]}, {**CRISIS, "countdown": 5}):
        assert ask(server, "POST", "tasks", {**other, **yes})[0] == 428
    assert ask(server, "POST", "tasks", {**CRISIS, "confirmation": 5})[0] == 400
    status, told = ask(server, "POST", "tasks", {**CRISIS, **yes})
    assert status == 201
    assert ask(server, "POST", "tasks", {**CRISIS, **yes})[0] == 428
    server.tell("failed", told["task_id"], exception="ValueError('no')")
    again = f"tasks/{told['task_id']}/retry"
    status, asked = ask(server, "POST", again, {"kwargs": grave["params"]})
    assert status == 428
    assert "again (severity='critical'" in asked["detail"]
    yes = {"confirmation": asked["confirmation"]}
    assert ask(server, "POST", again, yes)[0] == 428
    assert ask(server, "POST", again, {"kwargs": grave["params"], **yes})[0] == 201
