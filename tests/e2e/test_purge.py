"""The purge of a queue: confirmed by its depth, and its tasks never start."""

import json
from collections.abc import Iterator
from typing import Any, cast
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

import pytest
from celery import Celery

from tests.support.celery.worker import AppFactory
from tests.support.herald.command_line import runner_at
from tests.support.herald.memory_server import TOKEN, LiveServer, live_server
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until

COUNT = 12


@pytest.fixture(
    params=["redis", "prefixed", pytest.param("amqp", marks=pytest.mark.rabbitmq)]
)
def app(
    request: pytest.FixtureRequest, valkey: PrivateValkey, project_app: AppFactory
) -> Celery:
    """An app without workers, on each kind of broker."""
    if request.param == "amqp":
        return project_app(str(request.getfixturevalue("amqp_url")))
    options = {"global_keyprefix": "p:"} if request.param == "prefixed" else {}
    return project_app(valkey.url, broker_transport_options=options)


@pytest.fixture
def server(app: Celery) -> Iterator[LiveServer]:
    """A server that may send to it."""
    with live_server(app) as live:
        yield live


def send(app: Celery) -> list[str]:
    """Send some tasks, of several priorities; return their ids once all wait."""
    ids = [
        str(cast(Any, app).send_task("add", (1, n), priority=n % 3 * 3).id)
        for n in range(COUNT)
    ]
    with cast(Any, app).connection_or_acquire() as connection:
        if connection.transport.driver_type == "amqp":
            declare = connection.default_channel.queue_declare
            wait_until(
                lambda: declare(get_queue(app), passive=True).message_count == COUNT, 30
            )
    return ids


def get_queue(app: Celery) -> str:
    """Return the queue that all tasks wait in."""
    return str(cast(Any, app).conf.task_default_queue)


def purge(server: LiveServer, queue: str, body: object) -> tuple[int, Any]:
    """Ask for a purge; return the status and what was answered."""
    url = f"{server.url}api/v1/queues/{quote(queue, safe='')}/purge"
    headers = {"Authorization": f"Bearer {TOKEN}"}
    try:
        with urlopen(Request(url, json.dumps(body).encode(), headers), timeout=40) as a:
            return a.status, json.loads(a.read())
    except HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def read_states(server: LiveServer, ids: list[str]) -> dict[str, tuple[str, str]]:
    """Return state and name of each task, as Herald shows it."""
    tasks = [server.do(server.store.get_task(id_)) for id_ in ids]
    return {task.id: (task.state, task.name or "") for task in tasks}


def test_the_tasks_of_a_purged_queue_are_revoked(
    server: LiveServer, app: Celery
) -> None:
    ids, queue = send(app), get_queue(app)
    server.tell("sent", ids[0], name="add", queue=queue)
    status, order = purge(server, queue, {"expect_depth": COUNT})
    assert (status, order["state"]) == (200, "done"), order
    assert order["details"] == {
        "depth": COUNT,
        "removed": COUNT,
        "tasks": COUNT,
        "left": 0,
    }
    assert read_states(server, ids) == dict.fromkeys(ids, ("REVOKED", "add"))
    assert purge(server, queue, {"expect_depth": 0})[1]["details"]["removed"] == 0


def test_a_queue_that_is_deeper_than_expected_stays(
    server: LiveServer, app: Celery
) -> None:
    send(app)
    status, told = purge(server, get_queue(app), {"expect_depth": 1})
    assert (status, told["depth"]) == (409, COUNT)
    result = runner_at(server.url)("purge", get_queue(app), "--expect", str(COUNT))
    assert result.exit_code == 0, result.output
    assert f"{COUNT} messages were removed" in result.stdout


@pytest.mark.parametrize(
    ("queue", "body", "status", "part"),
    [
        ("nobody", {"expect_depth": 0}, 404, "no queue 'nobody' is known"),
        ("unacked", {"expect_depth": 0}, 400, "a name that brokers use"),
        ("celery", {}, 400, "expect_depth must be the number"),
        ("celery", {"expect_depth": -1}, 400, "expect_depth must be the number"),
        ("celery", {"depth": 1}, 400, "unknown key 'depth'"),
    ],
)
def test_a_wrong_purge_is_refused(
    module_valkey: PrivateValkey,
    project_app: AppFactory,
    queue: str,
    body: object,
    status: int,
    part: str,
) -> None:
    with live_server(project_app(module_valkey.url)) as server:
        code, told = purge(server, queue, body)
    assert code == status
    assert part in told["detail"]
