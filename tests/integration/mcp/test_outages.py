"""A broker that is away, and a store that hangs, are answered soon and clearly."""

import pytest
from celery import Celery
from fastmcp import Client
from fastmcp.exceptions import ToolError

from herald_core.settings import MonitorSettings
from herald_core.store.factory import make_store
from tests.support.herald.mcp_environment import call, house, refused
from tests.support.servers.redis import PrivateValkey

pytestmark = pytest.mark.anyio

ONE = {"task_type": "metrics_snapshot"}
THREE = {"tasks": [ONE] * 3}


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


async def test_a_hung_store_is_answered_before_a_client_gives_up(
    valkey: PrivateValkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("herald_server.mcp.store_probe.PROBE_TIMEOUT_S", 0.3)
    store = make_store(MonitorSettings(store_url=valkey.url))
    await store.open()
    try:
        async with (
            house(store=store, monitored=False) as made,
            Client(made.door) as client,
        ):
            await made.started("t1")
            assert (await call(client, "get_task_status", task_id="t1"))["status"]
            with valkey.freeze():
                for tool in ("get_task_status", "wait_for_task"):
                    with pytest.raises(ToolError, match="store did not answer"):
                        await client.call_tool(tool, {"task_id": "t1"})
    finally:
        await store.close()
