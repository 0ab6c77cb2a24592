"""A worker is shown, ordered and paused by command line, Python client and MCP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest
from celery import Celery
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport

from herald_client import Herald
from tests.support.celery.project import make_app
from tests.support.celery.worker import Worker
from tests.support.herald.command_line import objects, runner_at, sentence
from tests.support.herald.mcp_environment import call
from tests.support.herald.memory_server import (
    TOKEN,
    LiveServer,
    live_server,
    worker_of,
)
from tests.support.servers.redis import PrivateValkey

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.celery,
    pytest.mark.xdist_group("worker_doors"),
]

NAME = "shown@doors"


@pytest.fixture(scope="module")
def app(
    module_valkey: PrivateValkey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Celery]:
    """An app with one worker."""
    made = make_app(module_valkey.url, module_valkey.url)
    log = tmp_path_factory.mktemp("doors") / "worker.log"
    worker = Worker(made, log, pool="gevent", hostname=NAME)
    worker.start()
    yield made
    worker.close()
    made.close()  # pyright: ignore[reportUnknownMemberType]


@pytest.fixture
def server(app: Celery) -> Iterator[LiveServer]:
    """A server that knows the worker."""
    with live_server(app) as live:
        live.hear_of(worker_of(NAME))
        yield live


def test_the_command_line_shows_and_orders_a_worker(server: LiveServer) -> None:
    run = runner_at(server.url)
    shown = run("worker", NAME)
    assert shown.exit_code == 0, shown.output
    assert f"worker      {NAME}" in shown.stdout
    grown = run("worker", NAME, "grow", "2")
    assert (grown.exit_code, grown.stdout) == (
        0,
        "verified: The pool has 4 now, 2 before.\n",
    )
    [shrunk] = objects(run("worker", NAME, "shrink", "2", "--json"))
    assert (shrunk["state"], shrunk["kind"]) == ("verified", "pool_shrink")
    refused = run("worker", NAME, "restart-pool")
    assert (refused.exit_code, "refused: " in refused.stdout) == (1, True)


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("bigger",), "no order 'bigger'; use one of grow, shrink"),
        (("shutdown", "now"), "shutdown takes no value"),
    ],
)
def test_an_order_that_is_none_is_wrong_usage(
    server: LiveServer, words: tuple[str, ...], part: str
) -> None:
    done = runner_at(server.url)("worker", NAME, *words)
    assert done.exit_code == 2
    assert part in done.stderr


def test_the_command_line_shows_what_a_worker_did(server: LiveServer) -> None:
    run = runner_at(server.url)
    done = run("worker", NAME, "--at", "02:13")
    assert (done.exit_code, "0 runs; all 0 tasks" in done.stdout) == (0, True)
    assert "RFC 3339" in sentence(run("worker", NAME, "--at", "soon"))


def test_the_command_line_pauses_and_resumes_a_queue(
    server: LiveServer, app: Celery
) -> None:
    run = runner_at(server.url)
    queue = str(cast(Any, app).conf.task_default_queue)
    paused = run("queue", "pause", queue)
    assert (paused.exit_code, paused.stdout.startswith("verified: No worker")) == (
        0,
        True,
    )
    assert run("queue", "resume", queue).exit_code == 0
    assert "is not paused" in sentence(run("queue", "resume", queue))


async def test_the_python_client_describes_and_orders_a_worker(
    server: LiveServer,
) -> None:
    async with Herald(server.url, TOKEN) as herald:
        found = await herald.get_worker(NAME)
        done = await herald.order_worker(NAME, "add_consumer", queue="extra")
        history = await herald.get_worker_history(NAME, "02:13", 600)
    assert found.asked["unanswered"] == []
    assert found.pool_details is not None
    assert done.state == "verified"
    assert (history.total, history.whole) == (0, True)


async def test_an_agent_describes_orders_and_pauses(
    server: LiveServer, app: Celery
) -> None:
    queue = str(cast(Any, app).conf.task_default_queue)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    way = StreamableHttpTransport(f"{server.url}mcp", headers=headers)
    async with Client(way) as client:
        found = await call(client, "get_worker", worker=NAME, at="02:13")
        assert found["worker"]["hostname"] == NAME
        assert found["history"]["total"] == 0
        limit = {"task_name": "add", "rate_limit": "5/m"}
        done = await call(
            client, "order_worker", worker=NAME, command="rate_limit", params=limit
        )
        assert done["state"] == "verified"
        paused = await call(client, "pause_queue", queue=queue)
        resumed = await call(client, "resume_queue", queue=queue)
        assert (paused["state"], resumed["state"]) == ("verified", "verified")
