"""Tools of periodic tasks."""

from __future__ import annotations

import pytest
from fastmcp import Client

from tests.support.herald.mcp_environment import call, house
from tests.support.schedules.stored import make_spec, store_schedule

pytestmark = pytest.mark.anyio


async def test_an_agent_learns_which_periodic_task_did_not_run() -> None:
    async with house() as made, Client(made.door) as client:
        empty = await call(client, "list_schedules")
        assert "No schedule is known" in empty["message"]
        await store_schedule(made.store, make_spec("nightly"), missed=1)
        await store_schedule(made.store, make_spec("calm"))
        said = await call(client, "list_schedules")
        assert said["total"] == 2
        assert said["schedules"][0]["name"] == "nightly"
        assert said["message"].startswith("nightly: It was due at")
        only = await call(client, "list_schedules", state="waiting")
        assert [one["name"] for one in only["schedules"]] == ["calm"]


async def test_an_agent_mutes_a_schedule() -> None:
    async with house() as made, Client(made.door) as client:
        await store_schedule(made.store, make_spec("nightly"), missed=1)
        done = await call(client, "mark_schedule", schedule="nightly", action="mute")
        assert done["name"] == "nightly"
        said = await call(client, "list_schedules")
        assert said["schedules"][0]["muted"] is True
        assert said["message"] == "All schedules run as declared."
