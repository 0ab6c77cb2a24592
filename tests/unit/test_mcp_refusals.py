"""What no tool takes, and the sentence that says so; who may use which tool."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from celery import Celery
from fastmcp import Client

from herald_server.auth import SCOPES, Identity
from tests.conftest import AppFactory
from tests.mcp_house import House, house, over_http, refused
from tests.servers import PrivateValkey
from tests.unit.mcp_cases import WRONG

pytestmark = pytest.mark.anyio

NEEDS: dict[str, tuple[str, dict[str, Any]]] = {
    "start_background_task": ("start", {"task_type": "metrics_snapshot"}),
    "start_task_group": ("start", {"tasks": [{"task_type": "metrics_snapshot"}]}),
    "start_task_chain": ("start", {"tasks": [{"task_type": "metrics_snapshot"}]}),
    "retry_task": ("start", {"task_id": "t"}),
    "cancel_task": ("cancel", {"task_id": "t"}),
    "cancel_group": ("cancel", {"group_id": "g"}),
    "get_task_status": ("read", {"task_id": "t"}),
    "wait_for_task": ("read", {"task_id": "t"}),
    "wait_for_changes": ("read", {}),
    "list_active_tasks": ("read", {}),
    "list_tasks": ("read", {}),
    "get_task_history": ("read", {"task_id": "t"}),
    "get_task_stats": ("read", {}),
    "explain_task": ("read", {"task_id": "t"}),
    "get_group_status": ("read", {"group_id": "g"}),
    "list_workers": ("read", {}),
    "dismiss_worker": ("admin", {"worker": "w@h"}),
    "list_queues": ("read", {}),
    "list_task_types": ("read", {}),
    "register_webhook": ("admin", {"url": "http://8.8.8.8/"}),
    "list_webhooks": ("admin", {}),
    "delete_webhook": ("admin", {"webhook_id": "wh"}),
}


@pytest.fixture
def app(module_valkey: PrivateValkey, project_app: AppFactory) -> Celery:
    """An app on a private broker, which is its result backend too."""
    return project_app(module_valkey.url, module_valkey.url)


@asynccontextmanager
async def opened(
    app: Celery, mode: str = "auto"
) -> AsyncGenerator[tuple[House, Client[Any]], None]:
    async with house(app) as made, Client(made.door, mode=mode) as client:
        yield made, client


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_wrong_calls_are_refused_with_a_sentence_and_change_nothing(
    app: Celery, module_valkey: PrivateValkey, mode: str
) -> None:
    wrong: list[str] = []
    async with opened(app, mode) as (made, client):
        for tool, cases in WRONG.items():
            assert len(cases) >= 3, tool
            for arguments, part in cases:
                said = await refused(client, tool, **arguments)
                if part not in said:
                    wrong.append(f"{tool}({arguments!r:.80}): {said!r}, not {part!r}")
        assert await made.store.counts() == {}
        assert await made.store.notes("start") == {}
    assert not wrong, "\n".join(wrong)
    with module_valkey.client() as client_:
        assert client_.llen(str(app.conf.task_default_queue)) == 0


async def test_every_tool_has_wrong_calls_and_a_scope(app: Celery) -> None:
    async with opened(app) as (_, client):
        names = {tool.name for tool in await client.list_tools()}
    assert names == set(WRONG) == set(NEEDS)


async def test_every_tool_needs_its_scope(app: Celery) -> None:
    tokens = {
        f"without-{scope}": Identity(f"without-{scope}", frozenset({*SCOPES} - {scope}))
        for scope in SCOPES
    }
    async with AsyncExitStack() as stack:
        made = await stack.enter_async_context(house(app))
        url = await stack.enter_async_context(over_http(made, tokens))
        clients = {
            scope: await stack.enter_async_context(
                Client[Any](url, auth=f"without-{scope}")
            )
            for scope in SCOPES
        }
        said = await asyncio.gather(
            *(refused(clients[s], tool, **args) for tool, (s, args) in NEEDS.items())
        )
    for (tool, (scope, _)), sentence in zip(NEEDS.items(), said, strict=True):
        assert f"{tool} needs a token with the scope {scope}" in sentence
