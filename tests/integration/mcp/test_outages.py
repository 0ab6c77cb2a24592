"""A broker that is away, and a store that hangs, are answered soon and clearly."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from celery import Celery
from fastmcp import Client

from herald_core.settings import MonitorSettings
from herald_core.store.factory import make_store
from herald_monitor.celery_client.app.celery_app import make_app
from tests.support.herald.mcp_environment import House, call, house, refused
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = pytest.mark.anyio

ONE = {"task_type": "metrics_snapshot"}
THREE = {"tasks": [ONE] * 3}
STARTS: list[tuple[str, dict[str, Any]]] = [
    ("start_background_task", ONE),
    ("start_task_group", THREE),
    ("start_task_chain", THREE),
]

CLIENT_TIMEOUT_S = 5.0
"""Seconds for which openai-agents, the client with the least patience, waits."""


async def test_groups_and_chains_fail_as_single_starts_do_without_a_broker() -> None:
    away = "redis://127.0.0.1:1/0"
    app = Celery("x", broker=away, backend=away)
    async with house(app) as made, Client(made.door) as client:
        single = await refused(client, "start_background_task", **ONE)
        group = await refused(client, "start_task_group", **THREE)
        chain = await refused(client, "start_task_chain", **THREE)
        active = await call(client, "list_active_tasks")
    assert "cannot be reached" in single
    assert "nothing was sent" in single
    assert single == group == chain
    assert active["total_active"] == 0


@pytest.mark.parametrize("is_connected", [False, True])
async def test_a_silent_broker_is_told_before_a_client_gives_up(
    valkey: PrivateValkey, is_connected: bool
) -> None:
    app, said = make_app(valkey.url), list[str]()
    async with house(app) as made, Client(made.door) as client:
        if is_connected:
            await call(client, "start_background_task", **ONE)
        with valkey.freeze():
            for tool, given in STARTS:
                began = time.monotonic()
                said.append(await refused(client, tool, **given))
                assert time.monotonic() - began < CLIENT_TIMEOUT_S, tool
        active = await call(client, "list_active_tasks")
    assert active["total_active"] == is_connected
    assert all("cannot be reached (no answer in time)" in one for one in said)
    if not is_connected:
        assert said[0].endswith("nothing was sent")
        assert len(set(said)) == 1


async def test_a_start_that_was_given_up_is_not_sent_later(
    valkey: PrivateValkey,
) -> None:
    app = make_app(valkey.url)
    async with house(app) as made, Client(made.door) as client:
        with valkey.freeze():
            said = await refused(client, "start_task_group", **THREE)
        assert said.endswith("nothing was sent")
        await call(client, "start_background_task", **ONE)
    with valkey.client() as direct:
        assert direct.llen("celery") == 1


@asynccontextmanager
async def with_store(valkey: PrivateValkey) -> AsyncGenerator[House]:
    """Open a house over `valkey`, with a running task `t1`."""
    store = make_store(MonitorSettings(store_url=valkey.url))
    await store.open()
    try:
        async with house(store=store, monitored=False) as made:
            await made.started("t1")
            yield made
    finally:
        await store.close()


async def test_a_hung_store_is_answered_before_a_client_gives_up(
    valkey: PrivateValkey,
) -> None:
    async with with_store(valkey) as made, Client(made.door) as client:
        assert (await call(client, "get_task_status", task_id="t1"))["status"]
        with valkey.freeze():
            for told in ("was given up", "nothing was done"):
                # All of one round at once: of the first nobody knows that it hangs.
                calls: list[tuple[str, dict[str, Any]]] = [
                    ("get_task_status", {"task_id": "t1"}),
                    ("wait_for_task", {"task_id": "t1"}),
                    ("list_workers", {}),
                ]
                began = time.monotonic()
                async with asyncio.TaskGroup() as tasks:
                    for tool, given in calls:
                        tasks.create_task(check_refused(client, tool, given, told))
                    tasks.create_task(check_unread(client, "task://t1", told))
                assert time.monotonic() - began < CLIENT_TIMEOUT_S
                await wait_until_async(lambda: bool(made.feed.problem))
        await wait_until_async(lambda: not made.feed.problem)
        assert (await call(client, "get_task_status", task_id="t1"))["status"]


async def check_refused(
    client: Client[Any], tool: str, given: dict[str, Any], told: str
) -> None:
    said = await refused(client, tool, **given)
    assert "store did not answer within 4 s" in said
    assert told in said


async def check_unread(client: Client[Any], uri: str, told: str) -> None:
    with pytest.raises(Exception, match=f"store did not answer .*{told}"):
        await client.read_resource(uri)


async def test_a_store_that_answers_is_not_asked_for_a_sign_of_life(
    valkey: PrivateValkey,
) -> None:
    async with with_store(valkey) as made, Client(made.door) as client:
        await client.call_tool("list_task_types", {})
        with valkey.client() as direct:
            before = direct.info("stats")["total_commands_processed"]
            began = time.monotonic()
            for _ in range(100):
                await client.call_tool("list_task_types", {})
            ran_s = time.monotonic() - began
            after = direct.info("stats")["total_commands_processed"]
    # The log reader and the status ask some things a second for all.
    assert after - before < 20 + 20 * ran_s


async def test_a_wait_outlives_a_store_that_hangs_for_a_while(
    valkey: PrivateValkey,
) -> None:
    async with with_store(valkey) as made, Client(made.door) as client:
        wait = asyncio.create_task(call(client, "wait_for_task", task_id="t1"))
        began = time.monotonic()
        await wait_until_async(lambda: made.feed.answered_at > began)
        with valkey.freeze():
            await refused(client, "get_task_status", task_id="t1")
        await made.tell("succeeded", "t1")
        assert (await wait)["done"]
