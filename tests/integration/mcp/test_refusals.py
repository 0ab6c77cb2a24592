"""What no tool takes, and the sentence that says so; who may use which tool."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from celery import Celery
from fastmcp import Client

from herald_server.auth.identity import SCOPES, Identity
from tests.support.celery.worker import AppFactory
from tests.support.clients.invalid_mcp_calls import WRONG
from tests.support.clients.mcp_scopes import NEEDS
from tests.support.herald.mcp_environment import House, house, over_http, refused
from tests.support.servers.redis import PrivateValkey

pytestmark = pytest.mark.anyio


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
        assert await made.store.count_by_state() == {}
        assert await made.store.get_items("start") == {}
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
