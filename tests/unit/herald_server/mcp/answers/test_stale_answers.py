"""MCP answers while no monitor writes to the store: they say so, and ask elsewhere."""

import json

import pytest
from fastmcp import Client
from mcp.types import TextResourceContents

from herald_server.push.freshness import NO_MONITOR
from tests.support.herald.mcp_environment import House, call, house

pytestmark = pytest.mark.anyio

READING: list[tuple[str, dict[str, object]]] = [
    ("get_task_status", {"task_id": "t"}),
    ("wait_for_task", {"task_id": "t", "timeout_s": 0}),
    ("list_active_tasks", {}),
    ("list_tasks", {}),
    ("get_task_history", {"task_id": "t"}),
    ("get_group_status", {"group_id": "g"}),
    ("explain_task", {"task_id": "t"}),
    ("list_workers", {}),
    ("list_queues", {}),
    ("get_task_stats", {}),
]
RESOURCES = ["task://t", "group://g", "tasks://active", "herald://health"]


async def said_to_be_stale(made: House) -> None:
    """Wait until the house has noticed that nobody writes to its store."""
    await made.started("t")
    await made.tell("sent", "m", name="x", group_id="g")
    await made.shared.status._read_monitors()  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize(("tool", "given"), READING)
async def test_a_reading_tool_says_that_nobody_watches(
    tool: str, given: dict[str, object]
) -> None:
    async with house(monitored=False) as made, Client(made.door) as client:
        await said_to_be_stale(made)
        told = await call(client, tool, **given)
        assert NO_MONITOR in told["message"]
        assert told["message"].startswith(("Outdated: ", "Unreliable: "))


@pytest.mark.parametrize("uri", RESOURCES)
async def test_a_resource_says_that_nobody_watches(uri: str) -> None:
    async with house(monitored=False) as made, Client(made.door) as client:
        await said_to_be_stale(made)
        [content] = await client.read_resource(uri)
        assert isinstance(content, TextResourceContents)
        assert json.loads(content.text)["stale"]["reason"] == NO_MONITOR


@pytest.mark.parametrize(("tool", "given"), READING)
async def test_with_a_living_monitor_nothing_is_added(
    tool: str, given: dict[str, object]
) -> None:
    async with house() as made, Client(made.door) as client:
        await said_to_be_stale(made)
        assert NO_MONITOR not in str(await call(client, tool, **given))
