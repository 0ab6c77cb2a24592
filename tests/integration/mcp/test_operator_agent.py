"""An agent that only reads descriptions solves thirty tasks of an operator.

All that it reads and writes is at most 40,000 tokens: the list of tools, seen once, its
requests and the answers, on an installation of 10,000 tasks and a group of 500.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from celery import Celery
from fastmcp import Client

from tests.support.celery.worker import AppFactory
from tests.support.herald.large_installation import (
    GROUP,
    GROUP_SIZE,
    LONG_ERROR,
    QUEUES,
    TASKS,
    WORKERS,
    fill,
    make_id,
)
from tests.support.herald.mcp_environment import house
from tests.support.operator_agent import OperatorAgent
from tests.support.servers.redis import PrivateValkey

pytestmark = pytest.mark.anyio

MAX_TOKENS = 40_000
WAITING, FAILED, SUCCEEDED = make_id(4), make_id(7), make_id(5)
NAME = "warehouse.pipelines.domain_007.refresh_materialized_view"
SNAPSHOT = {"task_type": "metrics_snapshot"}


@pytest.fixture
def app(module_valkey: PrivateValkey, project_app: AppFactory) -> Celery:
    """An app on a private broker."""
    return project_app(module_valkey.url, module_valkey.url)


@asynccontextmanager
async def opened(app: Celery) -> AsyncGenerator[OperatorAgent, None]:
    async with house(app) as made, Client(made.door) as client:
        await fill(made.store)
        yield OperatorAgent(client, await client.list_tools())


async def look(agent: OperatorAgent) -> None:
    """Tasks that only look."""
    ask = agent.ask
    assert (await ask("List the active tasks", limit=5))["total_active"] == TASKS // 4
    assert (await ask("Get the status of a task", task_id=SUCCEEDED))["status"] == (
        "success"
    )
    told = await ask(
        "What is the state of this task, its progress and error", task_id=FAILED
    )
    assert told["error"] == LONG_ERROR
    told = await ask("List past tasks that failed", state="failure")
    assert told["total"] > 1_000
    told = await ask("List past and present tasks of this name", name=NAME, limit=3)
    assert {one["task_name"] for one in told["tasks"]} == {NAME}
    told = await ask(
        "List past and present tasks: the next page",
        page=told["next"],
        name=NAME,
        limit=3,
    )
    assert len(told["tasks"]) == 3
    told = await ask("List tasks with this tag", tag="order:77", limit=3)
    assert [one["task_id"] for one in told["tasks"]] == [make_id(77)]
    told = await ask("Get the history of a task: its runs and errors", task_id=FAILED)
    assert told["runs"] == 1
    told = await ask("Get the result that a task returned", task_id=SUCCEEDED)
    assert "value" in told
    told = await ask("Explain why the task has not started yet", task_id=WAITING)
    assert told["advice"]


async def look_at_the_installation(agent: OperatorAgent) -> None:
    """Tasks about workers, queues, groups and numbers."""
    ask = agent.ask
    assert (await ask("List the workers"))["total"] == WORKERS
    told = await ask("List the queues where nobody takes tasks")
    assert (told["total"], told["queues"][0]["consumers"]) == (QUEUES, [])
    told = await ask("List failures by cause", limit=3)
    assert told["failures"][0]["count"] > 0
    told = await ask("Count tasks by name: statistics and failure rates")
    assert told["names"][0]["count"] > 0
    told = await ask("Get task statistics of this name", name=NAME)
    assert told["total_names"] == 1
    told = await ask("Get the status of a group", group_id=GROUP)
    assert (told["total"], told["tasks"][0]["status"]) == (GROUP_SIZE, "failure")
    told = await ask("List the members of this group that failed", group=GROUP, limit=3)
    assert len(told["tasks"]) == 3
    assert (await ask("List the periodic tasks and schedules"))["total"] == 0
    assert (await ask("List the webhooks"))["total"] == 0
    told = await ask("List the task types with params", name="metrics_snapshot")
    assert told["task_types"][0]["startable"]


async def act(agent: OperatorAgent) -> None:
    """Tasks that start, wait, cancel and repair."""
    ask = agent.ask
    started = await ask("Start a background task", **SNAPSHOT, params={})
    assert started["status"] in ("queued", "pending")
    # Its message named explain_task, and the agent asked why it does not start.
    assert started["advice"]
    told = await ask("Wait for a task until it ends", **_only(started), timeout_s=0)
    assert told["done"] is False
    told = await ask("Cancel a task", **_only(started))
    assert told["outcome"] in ("unanswered", "revoked")
    wrong = await ask("Start a background task", task_type="metrics_snapshots")
    assert "did you mean metrics_snapshot?" in wrong["refused"]
    wrong = await ask("Start a background task", **SNAPSHOT, params={"days": 3})
    assert "unknown parameter 'days'" in wrong["refused"]
    group = await ask("Start a group of tasks", tasks=[SNAPSHOT] * 30, limit=3)
    assert (group["total"], len(group["tasks"])) == (30, 3)
    told = await ask(
        "Wait for a group", group_id=group["group_id"], timeout_s=0, limit=3
    )
    assert told["done"] is False
    told = await ask("Cancel a group", group_id=group["group_id"], limit=3)
    assert sum(told["outcomes"].values()) == 30
    told = await ask("Retry a task that failed", task_id=FAILED)
    assert "refused" in told
    first = await ask("Wait for changes of tasks", filter={"group": GROUP}, newest=3)
    assert first["cursor"]


def _only(answer: dict[str, Any]) -> dict[str, str]:
    return {"task_id": answer["task_id"]}


async def test_thirty_tasks_of_an_operator_fit_into_40_000_tokens(app: Celery) -> None:
    async with opened(app) as agent:
        listed = agent.tokens
        await look(agent)
        await look_at_the_installation(agent)
        await act(agent)
    assert len(agent.calls) >= 30
    assert agent.largest <= 4_000
    assert agent.tokens <= MAX_TOKENS, (agent.tokens, listed, agent.calls)
