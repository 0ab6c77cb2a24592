"""Over MCP, no door tells a narrow token of task types whose tasks it may not see."""

from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client
from fastmcp.exceptions import ToolError
from mcp.types import PromptReference

from herald_core.model.filters import Filter
from tests.support.celery.project import make_app
from tests.support.clients.route_requests import minted
from tests.support.herald.mcp_environment import call
from tests.support.herald.server import serving
from tests.support.servers.redis import PrivateValkey

pytestmark = pytest.mark.anyio

TOML = """
allow = ["reports.*", "payroll.*"]
[task_types.daily]
celery_name = "reports.daily"
[task_types.monthly_pay]
celery_name = "payroll.run"
queue = "payroll"
"""
HIDDEN = ("monthly_pay", "payroll")


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_hidden_types_are_told_nowhere(
    module_valkey: PrivateValkey, tmp_path: Path, mode: str
) -> None:
    url, path = module_valkey.url, tmp_path / "herald.toml"
    path.write_text(TOML)
    app = make_app(url, url)
    async with serving(url, celery=app, catalog=path) as server:
        token = minted(server, task_filter=Filter(name=("reports.*",)))
        async with (
            Client(f"{server.url}mcp", auth="a-token-for-tests", mode=mode) as owner,
            Client(f"{server.url}mcp", auth=token, mode=mode) as narrow,
        ):
            told = await _told(narrow)
            assert not [word for word in HIDDEN if word in str(told)]
            assert all("daily" in str(one) for one in told)
            assert all("monthly_pay" in str(one) for one in await _told(owner))
            with pytest.raises(ToolError, match="unknown task type") as refused:
                await call(
                    narrow, "start_background_task", task_type="monthly_pay", params={}
                )
            assert "payroll" not in str(refused.value)
    app.close()


async def _told(client: Client[Any]) -> list[object]:
    """Return all that names task types."""
    prompt = PromptReference(name="diagnose_failures")
    return [
        [tool.description for tool in await client.list_tools()],
        await call(client, "list_task_types"),
        await client.read_resource("catalog://task-types"),
        await client.read_resource("herald://task-types"),
        await client.complete(prompt, {"name": "task_type", "value": ""}),
    ]
