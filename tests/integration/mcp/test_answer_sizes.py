"""Every answer fits into a model's window, on an installation of 10,000 tasks."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from celery import Celery
from fastmcp import Client

from herald_server.mcp.answers.answer_size import BYTES_KEY, TOKENS_KEY
from herald_server.mcp.answers.short import SHORT_TOOLS
from tests.support.celery.worker import AppFactory
from tests.support.herald.large_installation import (
    GROUP,
    GROUP_SIZE,
    LONG_ERROR,
    TASKS,
    fill,
    make_id,
)
from tests.support.herald.mcp_environment import House, call, house
from tests.support.servers.redis import PrivateValkey
from tests.support.tokens import count_tokens

pytestmark = pytest.mark.anyio

MAX_TOKENS = 4_000

WAITING, FAILED, SUCCEEDED = make_id(4), make_id(7), make_id(5)

CALLS: list[tuple[str, dict[str, Any]]] = [
    ("list_tasks", {}),
    ("list_tasks", {"state": "failure"}),
    ("list_tasks", {"query": "failed"}),
    ("list_active_tasks", {}),
    ("get_task_status", {"task_id": SUCCEEDED}),
    ("get_task_status", {"task_id": FAILED}),
    ("wait_for_task", {"task_id": WAITING, "timeout_s": 0}),
    ("get_task_history", {"task_id": FAILED}),
    ("get_task_result", {"task_id": SUCCEEDED}),
    ("get_task_stats", {}),
    ("get_group_status", {"group_id": GROUP}),
    ("explain_task", {"task_id": WAITING}),
    ("list_workers", {}),
    ("list_queues", {}),
    ("list_failures", {}),
    ("list_alerts", {}),
    ("list_task_types", {}),
    ("list_webhooks", {}),
    ("list_schedules", {}),
    ("list_marks", {}),
    ("wait_for_changes", {}),
    ("wait_for_changes", {"filter": {"state": ["FAILURE"]}}),
]
"""Calls of the tools with their defaults."""


@pytest.fixture
def app(module_valkey: PrivateValkey, project_app: AppFactory) -> Celery:
    """An app on a private broker."""
    return project_app(module_valkey.url, module_valkey.url)


@asynccontextmanager
async def opened(
    app: Celery | None = None,
) -> AsyncGenerator[tuple[House, Client[Any]], None]:
    async with house(app) as made, Client(made.door) as client:
        await fill(made.store)
        yield made, client


async def measure(client: Client[Any], tool: str, given: dict[str, Any]) -> int:
    """Return the tokens of an answer, whose size its `_meta` must tell."""
    result = await client.call_tool(tool, given)
    text = str(getattr(result.content[0], "text", ""))
    meta = result.meta or {}
    assert meta[BYTES_KEY] == len(text.encode())
    tokens = count_tokens(text)
    assert 0.5 < meta[TOKENS_KEY] / max(tokens, 1) < 2, (tool, meta, tokens)
    return tokens


async def test_no_answer_with_defaults_is_over_the_budget() -> None:
    async with opened() as (_, client):
        found = {
            f"{tool} {given}": await measure(client, tool, given)
            for tool, given in CALLS
        }
    over = {name: tokens for name, tokens in found.items() if tokens > MAX_TOKENS}
    assert not over


async def test_a_group_of_500_fits_when_it_starts_and_when_it_is_cancelled(
    app: Celery,
) -> None:
    tasks = [{"task_type": "metrics_snapshot"}] * GROUP_SIZE
    async with house(app) as made, Client(made.door) as client:
        started = await client.call_tool("start_task_group", {"tasks": tasks})
        told = started.structured_content or {}
        cancelled = await client.call_tool(
            "cancel_group", {"group_id": told["group_id"]}
        )
        every = await call(client, "start_task_group", tasks=tasks[:30], limit=500)
    for result in (started, cancelled):
        assert count_tokens(result.structured_content) <= MAX_TOKENS
    assert (told["total"], len(told["tasks"])) == (GROUP_SIZE, 20)
    gone = cancelled.structured_content or {}
    assert sum(gone["outcomes"].values()) == GROUP_SIZE
    assert (len(gone["tasks"]), gone["tasks_whole"]) == (20, False)
    assert len(every["tasks"]) == 30


async def test_many_changes_are_told_in_parts_and_none_twice() -> None:
    async with house() as made, Client(made.door) as client:
        first = await call(client, "wait_for_changes", newest=0)
        await fill(made.store, GROUP_SIZE)
        cursor, seen, parts, more = first["cursor"], dict[str, str](), 0, [0]
        filter_ = {"group": GROUP}
        while parts < 60:
            told = await call(
                client, "wait_for_changes", filter=filter_, cursor=cursor, timeout_s=0
            )
            assert count_tokens(told) <= MAX_TOKENS
            assert told["changed"] == len(told["put"]) + len(told["del"]) <= 20
            if not told["changed"]:
                break
            assert not seen.keys() & {one["id"] for one in told["put"]}
            seen |= {one["id"]: one["state"] for one in told["put"]}
            cursor, parts = told["cursor"], parts + 1
            more.append(told["more"])
        whole = await call(client, "wait_for_changes", filter=filter_, newest=500)
    assert len(seen) == GROUP_SIZE
    assert seen == {one["id"]: one["state"] for one in whole["put"]}
    assert more[1] == GROUP_SIZE - 20
    assert more[-1] == 0


async def test_lists_count_first_and_page_on() -> None:
    async with opened() as (_, client):
        listed = await call(client, "list_tasks")
        rest = await call(client, "list_tasks", page=listed["next"])
        group = await call(client, "get_group_status", group_id=GROUP)
        full = await call(
            client, "get_group_status", group_id=GROUP, detail="full", limit=100
        )
        failed = await call(client, "list_tasks", state="failure", limit=1)
        whole = await call(
            client, "list_tasks", state="failure", limit=1, detail="full"
        )
    assert next(iter(listed)) == "total"
    assert listed["total"] == TASKS
    assert len(listed["tasks"]) == len(rest["tasks"]) == 20
    assert not any(None in row.values() for row in listed["tasks"])
    assert {one["status"] for one in group["tasks"]} == {"failure"}
    assert "of 500 members are listed" in group["message"]
    assert len(full["tasks"]) == 100
    [short], [long] = failed["tasks"], whole["tasks"]
    assert len(short["error"]) <= 160
    assert long["error"] == LONG_ERROR
    assert long["eta"] is None
    assert short.keys() < long.keys()


async def test_the_tools_that_shorten_are_those_that_take_detail() -> None:
    async with house() as made, Client(made.door) as client:
        tools = await client.list_tools()
    assert {t.name for t in tools if "detail" in t.input_schema["properties"]} == (
        SHORT_TOOLS
    )
