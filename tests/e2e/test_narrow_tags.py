"""A token narrowed to a tag that workers with the outbox report, not Herald."""

import time
from typing import Any

import pytest
from fastmcp import Client

from herald_core.model.events.event import parse_event
from herald_core.model.filters import Filter
from tests.support.clients.http import asking
from tests.support.clients.narrow_token import ended
from tests.support.clients.route_requests import minted
from tests.support.clients.websocket import connected
from tests.support.herald.server import Server, serving
from tests.support.model.worker_events import OUTBOX, PLAIN
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = pytest.mark.anyio

ONLY = Filter(tag=("user:42",))
HIDDEN = "zoe"
"""The user whose tasks the token does not see: in no number, time or id."""


async def tell(server: Server, kind: str, clock: int, user: str, **more: Any) -> None:
    """Store an event of the task of `user` as its worker sent it."""
    now = time.time()
    raw = {**PLAIN, **OUTBOX, "type": f"task-{kind}", "uuid": f"of-{user}", **more}
    raw |= {"tags": [f"user:{user}"], "group_id": f"group-{user}", "clock": clock}
    event = parse_event(raw | {"timestamp": now}, now)
    assert event is not None
    await server.store.store([event], now=now)


async def test_it_sees_the_tasks_with_the_tag_and_no_other(
    module_valkey: PrivateValkey,
) -> None:
    async with serving(module_valkey.url) as server:
        token = minted(server, task_filter=ONLY)
        headers = {"Authorization": f"Bearer {token}"}
        async with (
            connected(server, token) as client,
            asking(server, headers) as ask,
            Client(f"{server.url}mcp", auth=token) as agent,
        ):
            await client.say(type="subscribe", id="all")
            await client.say(type="subscribe", id="each", mode="events")
            await client.say(type="subscribe", id="wide", filter={"queue": "mail"})
            await client.heard("data", 2)
            for user in (HIDDEN, "42"):
                await tell(server, "received", 1, user)
                await tell(server, "started", 2, user)
                await tell(server, "succeeded", 3, user, result="'ok'")
            await wait_until_async(
                lambda: ended(client.frames) >= {"all", "each", "wide"}
            )
            said = f"{client.frames}"
            listed = (await ask.get("/api/v1/tasks")).json()
            assert [task["id"] for task in listed["tasks"]] == ["of-42"]
            unseen = (await ask.get(f"/api/v1/tasks/of-{HIDDEN}")).json()
            assert unseen["state"] == "UNKNOWN"
            group = await ask.get(f"/api/v1/groups/group-{HIDDEN}")
            assert group.status_code == 404
            found = await agent.call_tool("list_tasks", {})
            said += f"{listed} {found}"
            assert "of-42" in f"{found}"
            assert HIDDEN not in said
