"""An agent marks a deploy and asks what became slower."""

from __future__ import annotations

import time

import pytest
from fastmcp import Client

from herald_core.model.tasks.views import to_rfc3339
from tests.support.herald.mcp_environment import call, house, refused
from tests.support.model.deploys import store_deploy

pytestmark = pytest.mark.anyio


async def test_an_agent_asks_what_became_slower_since_a_deploy() -> None:
    now = time.time()
    async with house() as made, Client(made.door) as agent:
        empty = await call(agent, "list_marks")
        assert "herald mark" in empty["message"]
        await store_deploy(made.store, now - 1_800, now)
        at = to_rfc3339(now - 1_800)
        mark = await call(agent, "mark_deploy", what="deploy 4f1c", at=at)
        assert [m["id"] for m in (await call(agent, "list_marks"))["marks"]] == [
            mark["id"]
        ]
        found = await call(agent, "compare_with_mark", name="shop.mail")
        assert [one["name"] for one in found["slower"]] == ["shop.charge"]
        assert [one["name"] for one in found["failing_more"]] == ["shop.mail"]
        assert found["asked"]["failures"] == "more"
        assert found["counts"] == {"slower": 1, "similar": 1, "unknown": 1}
        assert "shop.mail takes about as long as before" in found["message"]


async def test_what_is_wrong_is_told_in_a_sentence() -> None:
    async with house() as made, Client(made.door) as agent:
        said = await refused(agent, "compare_with_mark")
        assert "no mark is known yet: set one with" in said
        said = await refused(agent, "compare_with_mark", window="1 week")
        assert "window must be a time" in said
        assert "what must be a text" in await refused(agent, "mark_deploy", what=" ")
