"""The ten task types over MCP, on a whole Herald: agent, server, monitor, workers."""

import json
import os
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import httpx2
import pytest
from celery import Celery
from fastmcp import Client
from fastmcp.client.transports import StdioTransport

from herald_core.system.subprocesses import kill_group, spawn, terminate
from herald_server.demo.app import make_app
from tests.support.celery.sample_task_types import TYPES
from tests.support.herald.mcp_environment import call, refused
from tests.support.servers.redis import PrivateValkey, private_valkey
from tests.support.wait import wait_until

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.celery,
    pytest.mark.timeout(240),
    pytest.mark.xdist_group("mcp_http"),
]

TOKEN = "token-of-the-agent"
HERALD = (sys.executable, "-m", "herald_server")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where everything of this installation lies."""
    return tmp_path_factory.mktemp("mcp")


@pytest.fixture(scope="module")
def env(
    place: Path, module_valkey: PrivateValkey
) -> Generator[dict[str, str], None, None]:
    """The settings of one installation: broker and backend, and a store beside it."""
    with private_valkey() as store:
        yield {
            **os.environ,
            "HERALD_BROKER_URL": module_valkey.url,
            "HERALD_RESULT_BACKEND": module_valkey.url,
            "HERALD_STORE_URL": store.url,
            "HERALD_TOKEN": TOKEN,
            "HERALD_DEMO_DB": str(place / "schedule.sqlite3"),
        }


@pytest.fixture(scope="module")
def worker(place: Path, env: dict[str, str]) -> Generator[None, None, None]:
    """A worker of the sample project."""
    app: Celery = make_app(env["HERALD_BROKER_URL"], env["HERALD_BROKER_URL"])
    words = (sys.executable, "-m", "celery", "-A", "herald_server.demo.app", "worker")
    process = spawn(
        [*words, "-P", "threads", "-c", "4", "-n", "mcp@demo"],
        place / "worker.log",
        env=env,
    )
    try:
        control = cast(Any, app).control
        wait_until(lambda: control.ping(timeout=0.3), 30, "the worker answers")
        yield
    finally:
        kill_group(process)
        cast(Any, app).close()


@pytest.fixture(scope="module")
def herald(
    place: Path, env: dict[str, str], worker: None
) -> Generator[str, None, None]:
    """Monitor and server; the URL of the server."""
    log = place / "server.log"
    started = [
        spawn([*HERALD, "monitor"], place / "monitor.log", env=env),
        spawn([*HERALD, "server", "--port", "0"], log, env=env),
    ]

    def address() -> str:
        assert all(process.poll() is None for process in started), log.read_text()
        said = [s for s in log.read_text().splitlines() if s.startswith("ready ")]
        return said[0].split()[1] if said else ""

    def hears() -> bool:
        return httpx2.get(f"{address()}readyz").status_code == 200

    try:
        wait_until(address, 30, f"the server is ready; see {log}")
        wait_until(hears, 30, f"the monitor hears the broker; see {place}")
        yield address()
    finally:
        for process in started:
            terminate(process, 10)
            kill_group(process)


@asynccontextmanager
async def agent(herald: str, mode: str = "auto") -> AsyncGenerator[Client[Any], None]:
    async with Client(f"{herald}mcp", auth=TOKEN, mode=mode) as client:
        yield client


def paths(value: object, prefix: str = "") -> set[str]:
    """Return the path of every key inside `value`."""
    if not isinstance(value, dict):
        return set()
    found: set[str] = set()
    for key, inner in cast("dict[str, object]", value).items():
        found |= {f"{prefix}{key}"} | paths(inner, f"{prefix}{key}.")
    return found


async def awaited(client: Client[Any], task_id: str) -> dict[str, Any]:
    """Wait for a task as an agent does."""
    told: dict[str, Any] = {}
    for _ in range(2):
        told = await call(client, "wait_for_task", task_id=task_id, timeout_s=20)
        if told["done"]:
            break
    return told


@pytest.mark.parametrize("task_type", TYPES)
async def test_each_type_is_started_and_followed_to_its_result(
    herald: str, task_type: str
) -> None:
    params, keys = TYPES[task_type]
    async with agent(herald) as client:
        begun = await call(
            client,
            "start_background_task",
            task_type=task_type,
            params=params,
            confirm=True,
        )
        told = await awaited(client, begun["task_id"])
    assert told["status"] == "success", told
    assert told["task_type"] == task_type
    assert told["progress"] == 100
    assert told["result_truncated"] is False
    assert keys | {"timestamp"} <= paths(told["result"])


async def test_clients_of_the_older_era_are_served_too(herald: str) -> None:
    heard: list[str] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        heard.append(str(message))

    async with agent(herald, "legacy") as client:
        begun = await call(
            client, "start_background_task", task_type="resilience_health_check"
        )
        result = await client.call_tool(
            "wait_for_task", {"task_id": begun["task_id"]}, progress_handler=note
        )
    assert cast(Any, result.structured_content)["status"] == "success"
    assert heard[-1].startswith("success")


async def test_a_wrong_start_is_refused_over_http(herald: str) -> None:
    async with agent(herald) as client:
        said = await refused(
            client,
            "start_background_task",
            task_type="resilience_contingency",
            params={"days_ahead": 0},
        )
    assert said == "days_ahead must be at least 1"


@pytest.mark.parametrize("token", [None, "wrong", TOKEN + "x"])
async def test_without_the_right_token_nobody_comes_in(
    herald: str, token: str | None
) -> None:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with httpx2.AsyncClient(headers=headers) as http:
        answer = await http.post(f"{herald}mcp", json={})
    assert answer.status_code == 401
    assert "valid token" in json.loads(answer.text)["detail"]


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_an_agent_on_this_machine_is_served_over_stdio(
    herald: str, env: dict[str, str], place: Path, mode: str
) -> None:
    command, *words = [*HERALD, "mcp"]
    transport = StdioTransport(
        command, words, env=env, log_file=place / "stdio.log", keep_alive=False
    )
    async with Client(transport, mode=mode) as client:
        begun = await call(
            client, "start_background_task", task_type="resilience_health_check"
        )
        told = await awaited(client, begun["task_id"])
    assert told["status"] == "success"
