"""Sessions of the older protocol at several servers of one store."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest

from tests.support.clients.mcp_session import opened, read_event
from tests.support.herald.server import Server, let_in, make_store, serving
from tests.support.herald.uvicorn_server import TOKEN
from tests.support.servers.redis import PrivateValkey

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def two_servers(valkey: PrivateValkey) -> AsyncGenerator[tuple[Server, Server]]:
    """Serve one store twice."""
    prefix = f"{{test-{uuid4().hex}}}"
    async with (
        serving(valkey.url, store=make_store(valkey.url, prefix)) as one,
        serving(valkey.url, store=make_store(valkey.url, prefix)) as other,
    ):
        yield one, other


async def test_a_session_goes_on_at_another_server(
    module_valkey: PrivateValkey,
) -> None:
    async with (
        two_servers(module_valkey) as (one, other),
        opened(one.url, TOKEN) as session,
    ):
        session.move(other.url, TOKEN)
        for _ in range(2):
            answer = await session.ask("tools/list")
            assert answer.status_code == 200
            assert read_event(answer.text)["result"]["tools"]
            assert answer.headers["mcp-session-id"] == session.id


async def test_a_session_is_none_for_another_token_at_any_server(
    module_valkey: PrivateValkey,
) -> None:
    async with (
        two_servers(module_valkey) as (one, other),
        opened(one.url, TOKEN) as session,
    ):
        let_in(other, "of-somebody")
        session.move(other.url, "of-somebody")
        assert (await session.ask("tools/list")).status_code == 404
        session.move(other.url, TOKEN)
        assert (await session.ask("tools/list")).status_code == 200
        session.move(other.url, "of-somebody")
        assert (await session.delete()).status_code == 404


async def test_a_session_that_its_client_ended_has_ended_everywhere(
    module_valkey: PrivateValkey,
) -> None:
    async with (
        two_servers(module_valkey) as (one, other),
        opened(one.url, TOKEN) as session,
    ):
        assert (await session.delete()).status_code == 200
        session.move(other.url, TOKEN)
        assert (await session.ask("tools/list")).status_code == 404


async def test_several_processes_offer_no_subscription_that_they_cannot_keep(
    module_valkey: PrivateValkey,
) -> None:
    async with (
        serving(module_valkey.url, workers=2) as server,
        opened(server.url, TOKEN) as session,
    ):
        assert session.id is None
        assert not session.offered["resources"].get("subscribe")
        answer = await session.ask("resources/subscribe", uri="task://t")
        assert read_event(answer.text)["error"]["code"] == -32601


async def test_one_process_offers_subscriptions(module_valkey: PrivateValkey) -> None:
    async with (
        serving(module_valkey.url) as server,
        opened(server.url, TOKEN) as session,
    ):
        assert session.offered["resources"]["subscribe"] is True
